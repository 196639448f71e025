// SPDX-License-Identifier: Apache-2.0
//
// The frontend of a disk: reads, writes, flushes and discards, many in flight, each page granted for as long
// as its request is on the way. A request that the disk as described cannot do is refused here; what happens
// to the others is the backend's word. Sectors are of 512 bytes, buffers begin at pages and belong to the
// backend until the request has been collected. A backend that answers what was not asked is given up, and so
// is one that keeps a page of a request it has answered. [xen/include/public/io/blkif.h]
#pragma once

#include "guest/frontend.hpp"
#include "protocol/front_ring.hpp"

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/io/blkif.h>

#include <array>
#include <optional>

namespace vmm::guest
{

inline constexpr u32 kBlockRequests = 32; // in flight at most: what one page of ring holds
inline constexpr u32 kBlockSegments = 32; // pages in a request, where the backend takes so many
inline constexpr u32 kSectorSize    = 512;

// What is shared with the backend besides the data.
struct Block_memory {
    Page ring;
    Page indirect[kBlockRequests]; // lists of segments that do not fit into a slot
};

// As the backend describes it.
struct Disk {
    u64 sectors     = 0;
    u32 sector_size = kSectorSize; // requests begin and end at multiples of it
    u32 segments    = BLKIF_MAX_SEGMENTS_PER_REQUEST;
    bool read_only  = false;
    bool flush      = false;
    bool discard    = false;
};

enum class Block_operation : u8 { read, write, flush, discard };

struct Block_request {
    Block_operation operation;
    u64 sector  = 0;
    u64 sectors = 0;       // of a read or write at most segments * 8
    Page* pages = nullptr; // for reads and writes
};

// Why a request was not taken.
enum class Block_refusal : u8 { none, not_running, busy, read_only, out_of_range, length, unsupported };
[[nodiscard]] Block_refusal check(const Block_request& request, const Disk& disk);

enum class Block_outcome : u8 {
    pending,
    done,
    failed,
    unsupported,
    lost // the connection ended; whether it was done nobody can say
};

class Block final : public Frontend
{
  public:
    constexpr explicit Block(Block_memory& memory) : Frontend(Xenbus_state::initialised), memory_(memory) {}

    struct Ticket {
        Block_refusal refusal;
        u32 slot;
    };
    // Puts a request into the ring; send() tells the backend.
    Ticket submit(const Block_request& request);
    void send();
    // Takes in what the backend answered. True when there is something to collect, or nothing more will come;
    // for waiting. Goes on while the device closes.
    bool poll();
    // What became of a request, as far as poll() has seen. The ticket is used up unless it is pending.
    Block_outcome collect(u32 slot);
    // One request from beginning to end; `refusal` says why it was not taken. When the time is up it is lost
    // and the device is closed, because the backend still has the pages: they are free when nothing is
    // held().
    Block_outcome run(const Block_request& request, u64 deadline, Block_refusal* refusal = nullptr);

    [[nodiscard]] const Disk& disk() const { return disk_; }

  private:
    using Ring = protocol::Front_ring<blkif_request, blkif_response>;

    struct Slot {
        bool used             = false;
        bool abandoned        = false; // nobody will collect it
        Block_outcome outcome = Block_outcome::pending;
        u8 wire_operation     = 0;
        u32 pages             = 0;
        std::array<grant_ref_t, kBlockSegments> refs{};
    };

    bool share() override;
    bool publish() override;
    bool agree() override;
    bool quiet() override;
    u32 take_back() override;
    bool grant(Slot& slot, const Block_request& request);
    u32 ungrant(Slot& slot);
    void fill(u32 slot, const Block_request& request);
    void reap();

    Block_memory& memory_;
    Disk disk_{};
    evtchn_port_t port_   = 0;
    blkif_vdev_t handle_  = 0;
    grant_ref_t ring_ref_ = 0;
    std::optional<Ring> ring_;
    std::array<grant_ref_t, kBlockRequests> indirect_refs_{};
    std::array<Slot, kBlockRequests> slots_{};
};

} // namespace vmm::guest

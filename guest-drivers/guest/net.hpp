// SPDX-License-Identifier: Apache-2.0
//
// The frontend of a network interface: Ethernet frames of at most one page each way, one queue, pages that
// stay granted while the interface runs and are copied into and out of. Unless asked for it does not offer to
// take frames whose checksum is blank, and never chains of pages or segments to be: a backend that sends what
// was not offered is refused frame by frame, one whose ring makes no sense is given up.
// [xen/include/public/io/netif.h]
#pragma once

#include "guest/frontend.hpp"
#include "protocol/front_ring.hpp"

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/io/netif.h>

#include <array>
#include <optional>
#include <span>

namespace vmm::guest
{

using Mac = std::array<u8, 6>;

// "00:16:3e:01:02:03"; nothing else will do.
[[nodiscard]] std::optional<Mac> mac_from(std::string_view text);

// Why a response for receiving is no frame; `ok` when it is one. `flags` are those the frontend offered to
// take.
enum class Frame_fault : u8 { ok, error, length, not_offered };
[[nodiscard]] Frame_fault check_received(const netif_rx_response& response, u16 offered_flags);

inline constexpr u32 kNetBuffers = 128; // each way

// What is shared with the backend; the program's, because it is large and may be given up to reuse only when
// nothing is held().
struct Net_memory {
    Page tx_ring;
    Page rx_ring;
    Page tx[kNetBuffers];
    Page rx[kNetBuffers];
};

class Net final : public Frontend
{
  public:
    static constexpr u32 kFrameMin = 14;
    static constexpr u32 kFrameMax = 1514;

    struct Counters {
        u64 sent;     // answered by the backend as sent
        u64 dropped;  // answered otherwise
        u64 received; // good frames
        u64 refused;  // frames that were not what had been offered
    };

    // Such an interface takes frames with blank checksums (from other domains of the same machine) and says
    // so.
    enum class Checksum { filled, may_be_blank };
    constexpr explicit Net(Net_memory& memory, Checksum checksum = Checksum::filled)
        : Frontend(Xenbus_state::connected), memory_(memory), checksum_(checksum)
    {
    }

    // Puts a frame into the ring. False: not running, no room now, or no frame by its length. With
    // `blank_checksum` the backend is asked to see to the checksum of TCP or UDP.
    bool send(std::span<const u8> frame, bool blank_checksum = false);
    // Tells the backend of frames sent since the last call.
    void flush();
    // Copies the next frame out and returns its length; 0: there is none. A frame too long for `to` is
    // refused.
    struct Received {
        u32 length          = 0;
        bool blank_checksum = false;
    };
    Received receive(std::span<u8> to);
    // Whether receive() is worth calling, or send() has room again; for waiting. Events are on.
    [[nodiscard]] bool readable();
    [[nodiscard]] bool writable();

    [[nodiscard]] Mac mac() const { return mac_; }
    [[nodiscard]] const Counters& counters() const { return counters_; }

  private:
    static constexpr u32 kBuffers = kNetBuffers;
    using Tx_ring                 = protocol::Front_ring<netif_tx_request, netif_tx_response>;
    using Rx_ring                 = protocol::Front_ring<netif_rx_request, netif_rx_response>;

    struct Buffer {
        grant_ref_t ref = 0;
        bool posted     = false; // the backend has it
    };

    bool share() override;
    bool publish() override;
    bool agree() override;
    u32 take_back() override;
    [[nodiscard]] u16 offered_flags() const;
    void post(u32 buffer);
    void show_posted();
    void reap();

    Net_memory& memory_;
    Checksum checksum_;
    Mac mac_{};
    Counters counters_{};
    evtchn_port_t port_ = 0;
    grant_ref_t tx_ref_ = 0;
    grant_ref_t rx_ref_ = 0;
    u32 free_count_     = 0;
    u32 unshown_        = 0; // buffers posted for receiving that the backend was not told of
    std::optional<Tx_ring> tx_;
    std::optional<Rx_ring> rx_;
    std::array<Buffer, kBuffers> tx_buffers_{};
    std::array<Buffer, kBuffers> rx_buffers_{};
    std::array<u16, kBuffers> free_{}; // buffers for sending that are not posted
};

} // namespace vmm::guest

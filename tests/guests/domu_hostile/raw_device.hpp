// SPDX-License-Identifier: Apache-2.0
//
// A frontend that shakes hands as it should and then does what it wants: its rings are bare memory, its nodes
// can be replaced by anything, and its grants come and go as the attack asks. Disks have one ring, network
// interfaces two: that for sending is number 0, that for receiving number 1.
#pragma once

#include "guest/frontend.hpp"
#include "protocol/ring.hpp"

#include <xen/event_channel.h>
#include <xen/grant_table.h>

#include <array>
#include <span>

namespace vmm::domu
{

using guest::Page;
using guest::s16;
using guest::u16;
using guest::u32;
using guest::u64;
using guest::u8;
using protocol::Ring_head;

inline constexpr u32 kDataPages = 32;

struct Raw_memory {
    Page rings[2];
    Page data[kDataPages];
};

// Written in place of the node of that name; an empty value: the node is not written at all.
struct Node {
    std::string_view name;
    std::string_view value;
};

class Raw_device final : public guest::Frontend
{
  public:
    enum class Kind : u8 { disk, net };
    constexpr Raw_device(Raw_memory& memory, Kind kind)
        : Frontend(kind == Kind::disk ? protocol::Xenbus_state::initialised
                                      : protocol::Xenbus_state::connected),
          memory_(memory), kind_(kind)
    {
    }

    void lie(std::span<const Node> nodes) { lies_ = nodes; }

    [[nodiscard]] Ring_head& head(u32 ring) { return *memory_.rings[ring].as<Ring_head>(); }
    [[nodiscard]] u32 slots(u32 ring) const
    {
        return protocol::ring_slots(guest::kPageSize, slot_size(ring));
    }
    // Writes a request where the counter says, whether or not it is free.
    void write(u32 ring, u32 counter, const void* request, u64 size);
    // The status in the response at the counter.
    [[nodiscard]] s16 status(u32 ring, u32 counter);
    void show(u32 ring, u32 producer);
    void notify();

    [[nodiscard]] grant_ref_t ref(u32 page) const { return refs_[page]; }
    [[nodiscard]] Page& data(u32 page) { return memory_.data[page]; }
    // The grant entry of a data page, as it is seen by the hypervisor.
    void set_grant(u32 page, u16 flags);

    // Where the next request goes, as this end counts.
    std::array<u32, 2> next{};

  private:
    [[nodiscard]] u64 slot_size(u32 ring) const;
    [[nodiscard]] u32 rings() const { return kind_ == Kind::disk ? 1 : 2; }
    bool tell(std::string_view node, std::string_view value);
    bool tell(std::string_view node, u64 value);

    bool share() override;
    bool publish() override;
    bool agree() override { return true; }
    u32 take_back() override;

    Raw_memory& memory_;
    Kind kind_;
    std::span<const Node> lies_;
    evtchn_port_t port_ = 0;
    std::array<grant_ref_t, 2> ring_refs_{};
    std::array<grant_ref_t, kDataPages> refs_{};
};

} // namespace vmm::domu

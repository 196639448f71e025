// SPDX-License-Identifier: Apache-2.0
//
// Events as words in guest pages, linked into sixteen priority queues for each vCPU whose heads are in a
// control block the vCPU registered. 131072 ports. The queues live in guest memory and the guest unlinks
// entries as it consumes them; of a queue only the tail is kept here. A guest that corrupts its words
// loses its own events: links are never followed, only written.
#pragma once

#include "base/unique.hpp"
#include "domain/domain.hpp"
#include "event/port_ops.hpp"
#include "mm/shared_page.hpp"

namespace vmm
{

class Fifo_ops final : public Port_ops
{
  public:
    explicit Fifo_ops(Domain& domain) : domain_(domain) {}

    // EVTCHNOP_init_control for one vCPU; once only.
    Expected<void> set_control_block(Vcpu& vcpu, Gfn gfn, u32 offset);
    // EVTCHNOP_expand_array: the next 1024 event words. Returns the first port they are for.
    Expected<u32> add_page(Gfn gfn);

    bool set_pending(Evtchn_port port, Channel& channel, Vcpu& vcpu) override;
    void clear_pending(Evtchn_port port, Channel& channel) override;
    void unmask(Evtchn_port port, Channel& channel, Vcpu& vcpu) override;
    [[nodiscard]] bool is_pending(Evtchn_port port, const Channel& channel) const override;
    [[nodiscard]] bool is_busy(Evtchn_port port) const override;
    [[nodiscard]] u32 port_limit() const override { return EVTCHN_FIFO_NR_CHANNELS; }

    static constexpr u32 kWordsPerPage = kPageSize / sizeof(event_word_t);

  private:
    static constexpr u32 kMaxPages = EVTCHN_FIFO_NR_CHANNELS / kWordsPerPage;

    struct Queues {
        Shared_page page;
        evtchn_fifo_control_block* control = nullptr;
        std::array<u32, EVTCHN_FIFO_MAX_QUEUES> tail{};
    };

    [[nodiscard]] event_word_t* word(u32 port) const;
    [[nodiscard]] bool append_to_tail(u32 tail, u32 port) const;
    void link(u32 port, Channel& channel, Vcpu& vcpu, event_word_t* word);

    Domain& domain_;
    u32 pages_in_use_ = 0;
    std::array<Shared_page, kMaxPages> pages_;
    std::array<Unique<Queues>, kMaxVcpus> queues_;
};

} // namespace vmm

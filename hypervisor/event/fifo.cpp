// SPDX-License-Identifier: Apache-2.0
#include "event/fifo.hpp"

#include "debug/log.hpp"
#include "domain/vcpu.hpp"

namespace vmm
{

namespace
{

constexpr event_word_t kPending = 1u << EVTCHN_FIFO_PENDING;
constexpr event_word_t kMasked  = 1u << EVTCHN_FIFO_MASKED;
constexpr event_word_t kLinked  = 1u << EVTCHN_FIFO_LINKED;
constexpr event_word_t kBusy    = 1u << EVTCHN_FIFO_BUSY;
constexpr event_word_t kLink    = EVTCHN_FIFO_LINK_MASK;

using Word_ref = std::atomic_ref<event_word_t>;

enum class Append : u8 { done, tail_consumed, contended };

// Links `port` behind the word, unless the guest has consumed that one already.
Append try_append(Word_ref word, event_word_t seen, u32 port)
{
    if (!(seen & kLinked))
        return Append::tail_consumed;
    const event_word_t linked = (seen & ~(kBusy | kLink)) | port;
    return word.compare_exchange_strong(seen, linked) ? Append::done : Append::contended;
}

} // namespace

Expected<void> Fifo_ops::set_control_block(Vcpu& vcpu, Gfn gfn, u32 offset)
{
    Unique<Queues>& slot = queues_[vcpu.id().value()];
    if (slot)
        return fail(Errc::einval);
    Unique<Queues> queues = TRY(make_unique<Queues>());
    queues->page          = TRY(Shared_page::hold(domain_.p2m(), gfn));
    queues->control       = queues->page.at<evtchn_fifo_control_block>(offset);
    slot                  = std::move(queues);
    return {};
}

Expected<u32> Fifo_ops::add_page(Gfn gfn)
{
    if (pages_in_use_ == kMaxPages)
        return fail(Errc::enospc);
    pages_[pages_in_use_] = TRY(Shared_page::hold(domain_.p2m(), gfn));
    return kWordsPerPage * pages_in_use_++;
}

event_word_t* Fifo_ops::word(u32 port) const
{
    const u32 page = port / kWordsPerPage;
    if (page >= pages_in_use_)
        return nullptr;
    return pages_[page].at<event_word_t>(port % kWordsPerPage * sizeof(event_word_t));
}

// The guest changes the tail's word when it consumes or unmasks it. After the first lost race the BUSY bit
// asks it to leave the word alone; a guest that does not after four more tries loses the event's place.
bool Fifo_ops::append_to_tail(u32 tail, u32 port) const
{
    event_word_t* tail_word = word(tail);
    if (!tail_word)
        return false;
    Word_ref shared(*tail_word);
    Append result = try_append(shared, shared.load(), port);
    if (result == Append::contended) [[unlikely]] {
        event_word_t seen = shared.fetch_or(kBusy) | kBusy;
        for (unsigned tries = 0; tries < 4 && result == Append::contended; ++tries, seen = shared.load())
            result = try_append(shared, seen, port);
        if (result != Append::done) // which takes the bit away
            shared.fetch_and(~kBusy);
        if (result == Append::contended)
            log::guest(log::Level::warning, "d{}: event {} not queued: its own changes to event {} never end",
                       domain_.id().value(), port, tail);
    }
    return result != Append::tail_consumed;
}

void Fifo_ops::link(u32 port, Channel& channel, Vcpu& vcpu, event_word_t* own)
{
    Queues* queues = queues_[vcpu.id().value()].get();
    if (!queues)
        return; // pending stays set; the vCPU has not said where its queues are
    if (Word_ref(*own).fetch_or(kLinked) & kLinked)
        return;

    // It may have been the last entry of another queue, which is empty then: nothing may be linked behind
    // it there any more.
    Queues* before = queues_[channel.last_vcpu].get();
    if (before && before->tail[channel.last_priority] == port)
        before->tail[channel.last_priority] = 0;
    channel.last_vcpu     = static_cast<u16>(vcpu.id().value());
    channel.last_priority = channel.priority;

    u32& tail           = queues->tail[channel.priority];
    const bool appended = tail != 0 && append_to_tail(tail, port);
    if (!appended)
        std::atomic_ref(queues->control->head[channel.priority]).store(port);
    tail = port;

    const u32 ready = 1u << channel.priority;
    if (!appended && !(std::atomic_ref(queues->control->ready).fetch_or(ready) & ready))
        mark_upcall(vcpu);
}

bool Fifo_ops::set_pending(Evtchn_port port, Channel& channel, Vcpu& vcpu)
{
    event_word_t* own = word(port.value());
    if (!own)
        return !std::exchange(channel.pending, true);
    const event_word_t was = Word_ref(*own).fetch_or(kPending);
    if (!(was & (kMasked | kLinked)))
        link(port.value(), channel, vcpu, own);
    return !(was & kPending);
}

void Fifo_ops::clear_pending(Evtchn_port port, Channel& channel)
{
    channel.pending = false;
    // Not unlinked: only the guest takes entries out of its queue.
    if (event_word_t* own = word(port.value()))
        Word_ref(*own).fetch_and(~kPending);
}

void Fifo_ops::unmask(Evtchn_port port, Channel& channel, Vcpu& vcpu)
{
    event_word_t* own = word(port.value());
    if (!own)
        return;
    const event_word_t was = Word_ref(*own).fetch_and(~kMasked);
    if ((was & kPending) && !(was & kLinked))
        link(port.value(), channel, vcpu, own);
}

bool Fifo_ops::is_pending(Evtchn_port port, const Channel& channel) const
{
    event_word_t* own = word(port.value());
    return own ? Word_ref(*own).load() & kPending : channel.pending;
}

bool Fifo_ops::is_busy(Evtchn_port port) const
{
    event_word_t* own = word(port.value());
    return own && (Word_ref(*own).load() & kLinked);
}

} // namespace vmm

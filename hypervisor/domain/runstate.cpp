// SPDX-License-Identifier: Apache-2.0
#include "domain/runstate.hpp"

#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"

#include <algorithm>
#include <cstring>

namespace vmm
{

void Runstate::start(Time now)
{
    info_.state            = static_cast<int>(State::offline);
    info_.state_entry_time = now.value();
}

void Runstate::change(State to, Time now)
{
    info_.time[info_.state] += now.value() - info_.state_entry_time;
    info_.state            = static_cast<int>(to);
    info_.state_entry_time = now.value();
    if (part_[0])
        publish();
}

vcpu_runstate_info Runstate::snapshot(Time now) const
{
    vcpu_runstate_info s = info_;
    s.time[s.state] += now.value() - s.state_entry_time;
    return s;
}

// With the update flag the guest sees bit 63 of the entry time while the rest changes under it.
// [xen/include/public/vcpu.h, XEN_RUNSTATE_UPDATE]
void Runstate::publish()
{
    constexpr u32 entry_time = offsetof(vcpu_runstate_info, state_entry_time);
    if (update_flag_) {
        const u64 marked = info_.state_entry_time | XEN_RUNSTATE_UPDATE;
        write_out(entry_time, &marked, sizeof marked);
        std::atomic_thread_fence(std::memory_order_release);
        write_out(0, &info_, entry_time);
        write_out(entry_time + 8, info_.time, sizeof info_.time);
        std::atomic_thread_fence(std::memory_order_release);
        write_out(entry_time, &info_.state_entry_time, sizeof info_.state_entry_time);
    } else {
        write_out(0, &info_, sizeof info_);
    }
}

void Runstate::write_out(u32 offset, const void* bytes, u32 count)
{
    const auto* from = static_cast<const std::byte*>(bytes);
    const u32 first  = offset < first_part_ ? std::min(count, first_part_ - offset) : 0;
    if (first)
        std::memcpy(part_[0] + offset, from, first);
    if (first < count)
        std::memcpy(part_[1] + (offset + first - first_part_), from + first, count - first);
}

Expected<void> Runstate::register_area(Vcpu& vcpu, Gva area, Time now)
{
    drop_area();
    if (area.value() == 0)
        return {};
    first_part_ = static_cast<u32>(std::min<u64>(sizeof info_, kPageSize - page_offset(area)));
    for (unsigned i = 0; i < (first_part_ < sizeof info_ ? 2u : 1u); ++i) {
        const Gpa gpa = TRY(translate_guest(vcpu, i == 0 ? area : area + first_part_, Guest_access::write));
        const auto entry = vcpu.domain().p2m().lookup(to_gfn(gpa));
        if (entry.type != P2m_type::ram || !frames.get_from(entry.mfn, vcpu.domain().id())) {
            drop_area();
            return fail(Errc::efault);
        }
        frames.mark_written(entry.mfn);
        held_[i] = entry.mfn;
        part_[i] = to_virtual<std::byte>(entry.mfn) + page_offset(gpa);
    }
    info_                  = snapshot(now);
    info_.state_entry_time = now.value();
    publish();
    return {};
}

void Runstate::drop_area()
{
    for (unsigned i = 0; i < 2; ++i) {
        part_[i] = nullptr;
        if (held_[i] != kInvalidMfn)
            frames.put(std::exchange(held_[i], kInvalidMfn));
    }
}

} // namespace vmm

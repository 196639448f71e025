// SPDX-License-Identifier: Apache-2.0
#include "domain/runstate.hpp"

#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"

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
    const Lock_guard guard(lock_);
    count_up_to(now);
    info_.state = static_cast<int>(to);
    if (area_.part[0])
        publish();
}

vcpu_runstate_info Runstate::snapshot(Time now) const
{
    const Lock_guard guard(lock_);
    vcpu_runstate_info s = info_;
    if (now.value() > s.state_entry_time)
        s.time[s.state] += now.value() - s.state_entry_time;
    return s;
}

// Another CPU may have looked at the clock before this one did, and come later.
void Runstate::count_up_to(Time now)
{
    if (now.value() <= info_.state_entry_time)
        return;
    info_.time[info_.state] += now.value() - info_.state_entry_time;
    info_.state_entry_time = now.value();
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
    const u32 first  = offset < area_.first_part ? std::min(count, area_.first_part - offset) : 0;
    if (first)
        std::memcpy(area_.part[0] + offset, from, first);
    if (first < count)
        std::memcpy(area_.part[1] + (offset + first - area_.first_part), from + first, count - first);
}

Expected<void> Runstate::register_area(Vcpu& vcpu, Gva address, Time now)
{
    Area area;
    if (address.value() != 0)
        area = TRY(hold_area(vcpu, address));
    {
        const Lock_guard guard(lock_);
        std::swap(area, area_);
        count_up_to(now);
        if (area_.part[0])
            publish();
    }
    return {};
}

Expected<Runstate::Area> Runstate::hold_area(Vcpu& vcpu, Gva address)
{
    Area area;
    area.first_part = static_cast<u32>(std::min<u64>(sizeof info_, kPageSize - page_offset(address)));
    for (unsigned i = 0; i < (area.first_part < sizeof info_ ? 2u : 1u); ++i) {
        const Gpa gpa = TRY(translate_guest_write(vcpu, i == 0 ? address : address + area.first_part));
        auto page     = Shared_page::hold(vcpu.domain().p2m(), to_gfn(gpa));
        if (!page)
            return fail(Errc::efault);
        area.held[i] = std::move(*page);
        area.part[i] = area.held[i].at<std::byte>(page_offset(gpa));
    }
    return area;
}

void Runstate::drop_area()
{
    Area area; // let go without the lock
    const Lock_guard guard(lock_);
    std::swap(area, area_);
}

} // namespace vmm

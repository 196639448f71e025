// SPDX-License-Identifier: Apache-2.0
//
// How long a vCPU has been running, runnable, blocked and offline, and the copy of it that the guest asked
// for. The guest's area is named by a linear address; it is translated once, when it is registered, and
// its frames are held, so that it is updated under any page tables. [xen/include/public/vcpu.h]
#pragma once

#include "base/expected.hpp"
#include "base/spinlock.hpp"
#include "mm/shared_page.hpp"

#include <xen/vcpu.h>
#include <xen/xen.h>

namespace vmm
{

class Vcpu;

class Runstate
{
  public:
    enum class State : u8 {
        running  = RUNSTATE_running,
        runnable = RUNSTATE_runnable,
        blocked  = RUNSTATE_blocked,
        offline  = RUNSTATE_offline,
    };

    void start(Time now);
    void change(State to, Time now);
    // As of `now`: the time in the present state is counted up to it.
    [[nodiscard]] vcpu_runstate_info snapshot(Time now) const;

    // VCPUOP_register_runstate_memory_area; a null address takes the area back.
    Expected<void> register_area(Vcpu& vcpu, Gva area, Time now);
    void drop_area();
    void set_update_flag(bool on) { update_flag_ = on; }

  private:
    // The guest's copy, in one piece or split over two pages, which are held.
    struct Area {
        std::byte* part[2] = {};
        u32 first_part     = 0; // bytes of it in the first page
        Shared_page held[2];
    };
    Expected<Area> hold_area(Vcpu& vcpu, Gva address);
    void count_up_to(Time now);
    void publish();
    void write_out(u32 offset, const void* bytes, u32 count);

    mutable Spinlock lock_{Lock_rank::runstate};
    vcpu_runstate_info info_{};
    Area area_;
    std::atomic<bool> update_flag_{false}; // VMASST_TYPE_runstate_update_flag
};

} // namespace vmm

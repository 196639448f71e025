// SPDX-License-Identifier: Apache-2.0
//
// AMD-V on this physical CPU: turning it on, what it offers, the pages it needs, and its ASIDs.
// [APM2 15.4, 15.16, 15.30]
#pragma once

#include "base/expected.hpp"

namespace vmm
{
class Domain;
}

namespace vmm::svm
{

struct Features {
    bool next_rip_save = false;
    bool rdtscp        = false;
    u32 asid_count     = 0;
};

// Sets EFER.SVME and the host save area. The CPU is known to have SVM with nested paging.
Expected<void> enable_on_this_cpu();

[[nodiscard]] const Features& features();
[[nodiscard]] u64 host_vmcb_pa();

// An address space identifier for the guest that is about to run. When they run out, a new generation
// starts and the whole TLB is flushed once, at the entry that gets flush_all.
struct Asid {
    u32 number     = 0;
    u64 generation = 0;
};

[[nodiscard]] bool asid_is_current(const Asid& asid);
Asid next_asid(bool& flush_all);

// Which MSRs a guest reaches without an exit: those VMLOAD and VMSAVE switch. One map for all.
[[nodiscard]] u64 msr_permission_map_pa();

// The I/O permission map of a domain: every port exits where it has no devices; where it has, only those
// that they emulate. It is asked for when a vCPU is loaded, since devices may come after the vCPUs.
// [APM2 15.10.1]
[[nodiscard]] u64 io_permission_map_pa(Domain& domain);

} // namespace vmm::svm

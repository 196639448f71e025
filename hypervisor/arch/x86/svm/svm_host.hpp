// SPDX-License-Identifier: Apache-2.0
//
// AMD-V on this physical CPU: turning it on, what it offers, the pages it needs, and its ASIDs.
// [APM2 15.4, 15.16, 15.30]
#pragma once

#include "arch/x86/address_space_ids.hpp"
#include "base/expected.hpp"
#include "base/per_cpu.hpp"

namespace vmm::svm
{

struct Features {
    bool next_rip_save = false;
    bool rdtscp        = false;
    bool auto_ibrs     = false;
    bool giant_pages   = false; // also in nested tables
    bool pause_filter  = false; // exits not for each PAUSE, but for many

    bool operator==(const Features&) const = default;
};

// Sets EFER.SVME and the host save area. The CPU is known to have SVM with nested paging. Enomem; einval,
// after a line in the log, when it is not like the boot CPU.
Expected<void> enable_on_this_cpu();

// To the log: what is used.
void report();

// Set by enable_on_this_cpu(); the features are the same for all CPUs.
inline constinit Features machine_features;
[[nodiscard]] inline const Features& features() { return machine_features; }

// What each CPU has.
struct Cpu {
    u64 host_vmcb_pa = 0;
    Address_space_ids asids;
};
inline constinit Per_cpu<Cpu> cpus;

// Which MSRs a guest reaches without an exit: those VMLOAD and VMSAVE switch. One map for all.
// For a guest that uses SPEC_CTRL itself, or for others.
[[nodiscard]] u64 msr_permission_map_pa(bool spec_ctrl);

} // namespace vmm::svm

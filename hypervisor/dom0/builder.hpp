// SPDX-License-Identifier: Apache-2.0
//
// Builds dom0 out of what the boot loader left: unpacks the kernel, gives the domain its identity-mapped
// memory, loads kernel and initrd, writes ACPI tables and hvm_start_info, and sets vCPU 0 to the entry point
// in the state PVH asks for. The domain is left paused, without devices. What cannot work is refused with
// one line that says what is wrong; that ends the boot.
// [xen/include/public/arch-x86/hvm/start_info.h]
#pragma once

#include "base/ref.hpp"
#include "dom0/memory_plan.hpp"
#include "platform/acpi.hpp"

namespace vmm
{

class Domain;

struct Dom0_config {
    const Memory_map& host;
    const Memory_plan& plan;              // none of it is in the frame allocator
    std::span<const Boot_module> modules; // kernel, and initrd if there is a second; not in it either
    const Acpi_tables& acpi;
    const Madt_info& madt;
    unsigned vcpus;
    bool pin_vcpus; // each to the CPU of its number, as far as there are
    u64 max_bytes;  // limit for ballooning up; 0: what it starts with
};

// Afterwards the modules' memory that is not dom0's is free.
Ref<Domain> build_dom0(const Dom0_config& config);

} // namespace vmm

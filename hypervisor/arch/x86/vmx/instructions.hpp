// SPDX-License-Identifier: Apache-2.0
//
// The instructions of VT-x. Those on a field need a current VMCS; a field that is not there or a wrong
// address is an error of the hypervisor's, not of a guest's, and panics. [SDM3 31.3]
#pragma once

#include "arch/x86/regs/vmcs.hpp"
#include "base/panic.hpp"

namespace vmm::vmx
{

inline u64 read(Field field)
{
    u64 value   = 0;
    bool failed = false;
    asm volatile("vmread %[field], %[value]"
                 : [value] "=r"(value), "=@ccna"(failed)
                 : [field] "r"(static_cast<u64>(field))
                 : "memory");
    ASSERT(!failed);
    return value;
}
inline u32 read32(Field field) { return static_cast<u32>(read(field)); }

inline void write(Field field, u64 value)
{
    bool failed = false;
    asm volatile("vmwrite %[value], %[field]"
                 : "=@ccna"(failed)
                 : [field] "r"(static_cast<u64>(field)), [value] "r"(value)
                 : "memory");
    ASSERT(!failed);
}

// These take the physical address of a VMCS or of the VMXON region.
inline bool vmxon(Hpa region)
{
    const u64 at = region.value();
    bool failed  = false;
    asm volatile("vmxon %[at]" : "=@ccna"(failed) : [at] "m"(at) : "memory");
    return !failed;
}
inline void vmclear(Hpa vmcs)
{
    const u64 at = vmcs.value();
    asm volatile("vmclear %[at]" ::[at] "m"(at) : "memory", "cc");
}
inline void vmptrld(Hpa vmcs)
{
    const u64 at = vmcs.value();
    asm volatile("vmptrld %[at]" ::[at] "m"(at) : "memory", "cc");
}

// Forgets what was translated by the tables of one EPTP. [SDM3 29.4.3]
inline void invept(u64 eptp)
{
    struct {
        u64 eptp, zero;
    } const what{eptp, 0};
    constexpr u64 single_context = 1;
    asm volatile("invept %[what], %[type]" ::[what] "m"(what), [type] "r"(single_context) : "memory", "cc");
}
// Forgets the translations of every VPID but the host's.
inline void invvpid_all()
{
    struct {
        u64 vpid, address;
    } const what{0, 0};
    constexpr u64 all_contexts = 2;
    asm volatile("invvpid %[what], %[type]" ::[what] "m"(what), [type] "r"(all_contexts) : "memory", "cc");
}

} // namespace vmm::vmx

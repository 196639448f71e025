// SPDX-License-Identifier: Apache-2.0
//
// Hypercalls by the instruction of this CPU's vendor: VMMCALL on AMD and Hygon, VMCALL elsewhere. Results
// are Xen's: negative errno on failure. The typed wrappers are named after the public headers.
#pragma once

#include "guest/types.hpp"

#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/xen.h>

namespace vmm::guest
{

extern bool use_vmcall;

// Looks at the CPU's vendor; once, before the first hypercall.
void choose_hypercall_instruction();

inline s64 hypercall(u64 number, u64 a1 = 0, u64 a2 = 0, u64 a3 = 0, u64 a4 = 0, u64 a5 = 0)
{
    s64 result                  = 0;
    register u64 r10 asm("r10") = a4;
    register u64 r8 asm("r8")   = a5;
    if (use_vmcall) [[unlikely]] {
        asm volatile("vmcall"
                     : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                     : "a"(number)
                     : "memory");
    } else {
        asm volatile("vmmcall"
                     : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                     : "a"(number)
                     : "memory");
    }
    return result;
}

inline s64 event_op(u32 command, void* arg)
{
    return hypercall(__HYPERVISOR_event_channel_op, command, gpa_of(arg));
}
inline s64 memory_op(u32 command, void* arg)
{
    return hypercall(__HYPERVISOR_memory_op, command, gpa_of(arg));
}
inline s64 sched_op(u32 command, void* arg) { return hypercall(__HYPERVISOR_sched_op, command, gpa_of(arg)); }
inline s64 hvm_op(u32 command, void* arg) { return hypercall(__HYPERVISOR_hvm_op, command, gpa_of(arg)); }
inline s64 version_op(u32 command, void* arg)
{
    return hypercall(__HYPERVISOR_xen_version, command, gpa_of(arg));
}
inline s64 vcpu_op(u32 command, u32 vcpu, void* arg)
{
    return hypercall(__HYPERVISOR_vcpu_op, command, vcpu, gpa_of(arg));
}
inline s64 grant_op(u32 command, void* args, u32 count)
{
    return hypercall(__HYPERVISOR_grant_table_op, command, gpa_of(args), count);
}
inline s64 console_write(const char* text, u64 length)
{
    return hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, length, gpa_of(text));
}

s64 get_param(domid_t domain, u32 index, u64& value);
s64 set_param(domid_t domain, u32 index, u64 value);
[[noreturn]] void shut_down(u32 reason);

} // namespace vmm::guest

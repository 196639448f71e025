// SPDX-License-Identifier: Apache-2.0
#include "guest/hypercall.hpp"

#include "guest/cpu.hpp"

namespace vmm::guest
{

constinit bool use_vmcall = false;

void choose_hypercall_instruction()
{
    const u32 vendor = cpuid(0).ebx; // "Auth"enticAMD, "Hygo"nGenuine
    use_vmcall       = vendor != 0x68747541 && vendor != 0x6f677948;
}

s64 get_param(domid_t domain, u32 index, u64& value)
{
    xen_hvm_param param{.domid = domain, .pad = 0, .index = index, .value = 0};
    const s64 result = hvm_op(HVMOP_get_param, &param);
    value            = param.value;
    return result;
}

s64 set_param(domid_t domain, u32 index, u64 value)
{
    xen_hvm_param param{.domid = domain, .pad = 0, .index = index, .value = value};
    return hvm_op(HVMOP_set_param, &param);
}

void shut_down(u32 reason)
{
    sched_shutdown shutdown{.reason = reason};
    sched_op(SCHEDOP_shutdown, &shutdown);
    for (;;)
        asm volatile("cli; hlt");
}

} // namespace vmm::guest

// SPDX-License-Identifier: Apache-2.0
//
// HVMOP_*: the HVM parameters and the event upcall vector. [xen/include/public/hvm/hvm_op.h]
#include "domain/domain_table.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"
#include "hypercall/hypercall.hpp"

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>

namespace vmm
{
namespace
{

constexpr unsigned kCallbackTypeShift = 56;
constexpr u8 kFirstUsableVector       = 16;

// Domains act on themselves; the control domain on anybody.
Expected<Ref<Domain>> target_of(Vcpu& vcpu, u16 domid)
{
    auto domain = find_domain_or_self(Domid(domid), vcpu.domain());
    if (!domain)
        return fail(Errc::esrch);
    if (domain.get() != &vcpu.domain() && !vcpu.domain().is_control())
        return fail(Errc::eperm);
    return domain;
}

// Only a vector can be the callback: there is no emulated chipset whose lines could be it.
Expected<void> set_callback(Domain& domain, u64 via)
{
    const auto type = via >> kCallbackTypeShift;
    if (via == 0) {
        domain.params().callback_vector = 0;
        return {};
    }
    if (type == HVM_PARAM_CALLBACK_TYPE_VECTOR) {
        const u8 vector = static_cast<u8>(via);
        if (vector < kFirstUsableVector)
            return fail(Errc::einval);
        domain.params().callback_vector = vector;
    }
    return {};
}

// What a domain may set of its own; the rest is the toolstack's.
bool guest_may_set(u32 index)
{
    switch (index) {
    case HVM_PARAM_CALLBACK_IRQ:
    case HVM_PARAM_VM86_TSS:
    case HVM_PARAM_VM86_TSS_SIZED:
    case HVM_PARAM_ACPI_IOPORTS_LOCATION:
    case HVM_PARAM_VM_GENERATION_ID_ADDR:
    case HVM_PARAM_STORE_EVTCHN:
    case HVM_PARAM_CONSOLE_EVTCHN:
    case HVM_PARAM_X87_FIP_WIDTH: return true;
    default: return false;
    }
}

bool guest_may_read(u32 index)
{
    switch (index) {
    case HVM_PARAM_CALLBACK_IRQ:
    case HVM_PARAM_VM86_TSS:
    case HVM_PARAM_VM86_TSS_SIZED:
    case HVM_PARAM_ACPI_IOPORTS_LOCATION:
    case HVM_PARAM_VM_GENERATION_ID_ADDR:
    case HVM_PARAM_STORE_PFN:
    case HVM_PARAM_STORE_EVTCHN:
    case HVM_PARAM_CONSOLE_PFN:
    case HVM_PARAM_CONSOLE_EVTCHN:
    case HVM_PARAM_ALTP2M:
    case HVM_PARAM_X87_FIP_WIDTH: return true;
    default: return false;
    }
}

// Given once and then relied upon by others.
bool is_fixed_once_set(u32 index)
{
    return index == HVM_PARAM_STORE_EVTCHN || index == HVM_PARAM_CONSOLE_EVTCHN ||
           index == HVM_PARAM_ALTP2M || index == HVM_PARAM_MCA_CAP;
}

Hypercall_result set_param(Vcpu& vcpu, Gva arg)
{
    const auto op = TRY(read_guest<xen_hvm_param>(vcpu, arg));
    if (op.index >= HVM_NR_PARAMS)
        return fail(Errc::einval);
    const auto domain = TRY(target_of(vcpu, op.domid));
    if (domain.get() == &vcpu.domain() && !vcpu.domain().is_control() && !guest_may_set(op.index))
        return fail(Errc::eperm);
    u64& value = domain->params().value[op.index];
    if (is_fixed_once_set(op.index) && value != 0 && value != op.value)
        return fail(Errc::eexist);
    if (op.index == HVM_PARAM_CALLBACK_IRQ)
        TRY(set_callback(*domain, op.value));
    value = op.value;
    return 0;
}

Hypercall_result get_param(Vcpu& vcpu, Gva arg)
{
    auto op = TRY(read_guest<xen_hvm_param>(vcpu, arg));
    if (op.index >= HVM_NR_PARAMS)
        return fail(Errc::einval);
    const auto domain = TRY(target_of(vcpu, op.domid));
    if (!vcpu.domain().is_control() && !guest_may_read(op.index))
        return fail(Errc::eperm);
    op.value = domain->params().value[op.index];
    TRY(write_guest(vcpu, arg, op));
    return 0;
}

Hypercall_result set_upcall_vector(Vcpu& vcpu, Gva arg)
{
    const auto op = TRY(read_guest<xen_hvm_evtchn_upcall_vector>(vcpu, arg));
    if (op.vector < kFirstUsableVector)
        return fail(Errc::einval);
    Vcpu* target = vcpu.domain().vcpu(op.vcpu);
    if (!target)
        return fail(Errc::enoent);
    target->upcall_vector = op.vector;
    target->kick();
    return 0;
}

Hypercall_result get_mem_type(Vcpu& vcpu, Gva arg)
{
    auto op           = TRY(read_guest<xen_hvm_get_mem_type>(vcpu, arg));
    const auto domain = TRY(target_of(vcpu, op.domid));
    const auto entry  = domain->p2m().lookup(Gfn(op.pfn));
    if (entry.type == P2m_type::ram)
        op.mem_type = HVMMEM_ram_rw;
    else if (entry.type == P2m_type::ram_ro || entry.type == P2m_type::grant_ro)
        op.mem_type = HVMMEM_ram_ro;
    else if (entry.type == P2m_type::grant_rw || entry.type == P2m_type::foreign)
        op.mem_type = HVMMEM_ram_rw;
    else
        op.mem_type = HVMMEM_mmio_dm;
    TRY(write_guest(vcpu, arg, op));
    return 0;
}

} // namespace

Hypercall_result do_hvm_op(Vcpu& vcpu, Hypercall_args& args)
{
    const Gva arg(args.a[1]);
    switch (args.a[0]) {
    case HVMOP_set_param: return set_param(vcpu, arg);
    case HVMOP_get_param: return get_param(vcpu, arg);
    case HVMOP_set_evtchn_upcall_vector: return set_upcall_vector(vcpu, arg);
    case HVMOP_get_mem_type: return get_mem_type(vcpu, arg);
    case HVMOP_flush_tlbs:
        if (arg.value() != 0)
            return fail(Errc::einval);
        vcpu.backend().flush_tlb(Tlb_scope::guest);
        return 0;
    default: return fail(Errc::enosys);
    }
}

} // namespace vmm

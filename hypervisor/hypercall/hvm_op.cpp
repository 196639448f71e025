// SPDX-License-Identifier: Apache-2.0
//
// HVMOP_*: the HVM parameters and the event upcall vector. [xen/include/public/hvm/hvm_op.h]
#include "base/bits.hpp"
#include "domain/domain_table.hpp"
#include "domain/vcpu.hpp"
#include "hypercall/argument.hpp"

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/sched.h>

namespace vmm
{
namespace
{

constexpr unsigned kCallbackTypeShift = 56;
constexpr u8 kFirstUsableVector       = 16;

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

// A set of parameters.
template <class... Index>
constexpr u64 params(Index... index)
{
    static_assert(HVM_NR_PARAMS <= 64);
    return (bit(index) | ...);
}

// What a domain may do with parameters of its own; the rest is the toolstack's, and some are no longer used.
constexpr u64 kChangeable = params(HVM_PARAM_CALLBACK_IRQ, HVM_PARAM_VM86_TSS, HVM_PARAM_VM86_TSS_SIZED,
                                   HVM_PARAM_ACPI_IOPORTS_LOCATION, HVM_PARAM_VM_GENERATION_ID_ADDR,
                                   HVM_PARAM_STORE_EVTCHN, HVM_PARAM_CONSOLE_EVTCHN, HVM_PARAM_X87_FIP_WIDTH);
constexpr u64 kReadable = kChangeable | params(HVM_PARAM_STORE_PFN, HVM_PARAM_CONSOLE_PFN, HVM_PARAM_ALTP2M);
constexpr u64 kObsolete =
    params(HVM_PARAM_PAE_ENABLED, HVM_PARAM_DM_DOMAIN, HVM_PARAM_MEMORY_EVENT_CR0, HVM_PARAM_MEMORY_EVENT_CR3,
           HVM_PARAM_MEMORY_EVENT_CR4, HVM_PARAM_MEMORY_EVENT_INT3, HVM_PARAM_NESTEDHVM,
           HVM_PARAM_MEMORY_EVENT_SINGLE_STEP, HVM_PARAM_BUFIOREQ_EVTCHN, HVM_PARAM_MEMORY_EVENT_MSR);
// Given once and then relied upon by others.
constexpr u64 kFixedOnceSet =
    params(HVM_PARAM_VIRIDIAN, HVM_PARAM_IOREQ_PFN, HVM_PARAM_BUFIOREQ_PFN, HVM_PARAM_IOREQ_SERVER_PFN,
           HVM_PARAM_NR_IOREQ_SERVER_PAGES, HVM_PARAM_ALTP2M, HVM_PARAM_MCA_CAP);

// `own`: the parameters of which a domain may do it to its own.
Expected<void> check_use(const Vcpu& vcpu, const Domain& domain, u32 index, u64 own)
{
    if (kObsolete & bit(index))
        return fail(Errc::einval);
    const bool allowed = (own & bit(index)) || &domain != &vcpu.domain();
    return allowed ? Expected<void>() : fail(Errc::eperm);
}

// The largest value that means something.
u64 limit_of(u32 index)
{
    switch (index) {
    case HVM_PARAM_TIMER_MODE: return HVMPTM_one_missed_tick_pending;
    case HVM_PARAM_ALTP2M: return XEN_ALTP2M_disabled; // there are no alternative views of memory
    case HVM_PARAM_TRIPLE_FAULT_REASON: return SHUTDOWN_MAX;
    default: return ~0ull;
    }
}

Expected<void> set_param(Vcpu& vcpu, const xen_hvm_param& op)
{
    if (op.index >= HVM_NR_PARAMS)
        return fail(Errc::einval);
    const auto domain = TRY(domain_acted_on(Domid(op.domid), vcpu.domain()));
    TRY(check_use(vcpu, *domain, op.index, kChangeable));
    u64& value = domain->params().value[op.index];
    if ((kFixedOnceSet & bit(op.index)) && value != 0 && value != op.value)
        return fail(Errc::eexist);
    if (op.value > limit_of(op.index))
        return fail(Errc::einval);
    if (op.index == HVM_PARAM_CALLBACK_IRQ)
        TRY(set_callback(*domain, op.value));
    value = op.value;
    return {};
}

Expected<void> get_param(Vcpu& vcpu, xen_hvm_param& op)
{
    if (op.index >= HVM_NR_PARAMS)
        return fail(Errc::einval);
    const auto domain = TRY(domain_acted_on(Domid(op.domid), vcpu.domain()));
    TRY(check_use(vcpu, *domain, op.index, kReadable));
    op.value = domain->params().value[op.index];
    return {};
}

Expected<void> set_upcall_vector(Vcpu& vcpu, const xen_hvm_evtchn_upcall_vector& op)
{
    if (op.vector < kFirstUsableVector)
        return fail(Errc::einval);
    Vcpu* target = vcpu.domain().vcpu(op.vcpu);
    if (!target)
        return fail(Errc::enoent);
    target->upcall_vector = op.vector;
    target->kick();
    return {};
}

Expected<void> get_mem_type(Vcpu& vcpu, xen_hvm_get_mem_type& op)
{
    const auto domain = TRY(domain_acted_on(Domid(op.domid), vcpu.domain()));
    const auto entry  = domain->p2m().lookup(Gfn(op.pfn));
    if (!entry.present() || is_mmio(entry.type))
        op.mem_type = HVMMEM_mmio_dm;
    else if (is_writable(entry.type) || entry.type == P2m_type::ram_common)
        op.mem_type = HVMMEM_ram_rw;
    else
        op.mem_type = HVMMEM_ram_ro;
    return {};
}

} // namespace

Hypercall_result do_hvm_op(Vcpu& vcpu, Hypercall_args& args)
{
    const Gva arg(args.a[1]);
    switch (args.a[0]) {
    case HVMOP_set_param: return with_argument(vcpu, arg, set_param);
    case HVMOP_get_param: return with_argument(vcpu, arg, get_param);
    case HVMOP_set_evtchn_upcall_vector: return with_argument(vcpu, arg, set_upcall_vector);
    case HVMOP_get_mem_type: return with_argument(vcpu, arg, get_mem_type);
    case HVMOP_flush_tlbs:
        if (arg.value() != 0)
            return fail(Errc::einval);
        vcpu.domain().p2m().forget_everywhere();
        return 0;
    default: return fail(Errc::enosys);
    }
}

} // namespace vmm

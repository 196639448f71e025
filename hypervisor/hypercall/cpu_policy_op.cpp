// SPDX-License-Identifier: Apache-2.0
#include "hypercall/cpu_policy_op.hpp"

#include "domain/vcpu.hpp"
#include "exit/cpu_policy.hpp"
#include "hypercall/argument.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

constexpr u32 kPlatformInfo = 0xce, kArchCapabilities = 0x10a;
constexpr u32 kMsrs[] = {kPlatformInfo, kArchCapabilities};

// Both operations name the fields alike. A list without a place asks for the longest it could be.
template <class Op>
Expected<void> tell(Vcpu& caller, const Cpu_policy& policy, Op& op)
{
    u32 leaves = 0, msrs = 0;
    if (op.leaves.p == nullptr) {
        leaves = Cpu_policy::kMaxSerialised;
    } else {
        TRY(policy.for_each([&](u32 leaf, u32 subleaf, const Cpuid& r) -> Expected<void> {
            if (leaves == op.nr_leaves)
                return fail(Errc::enobufs);
            const xen_cpuid_leaf_t entry{leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx};
            return write_guest_element(caller, address_of(op.leaves), leaves++, entry);
        }));
    }
    op.nr_leaves = leaves;
    for (; op.msrs.p != nullptr && msrs < std::size(kMsrs); ++msrs) {
        if (msrs == op.nr_msrs)
            return fail(Errc::enobufs);
        TRY(write_guest_element(caller, address_of(op.msrs), msrs, xen_msr_entry_t{kMsrs[msrs], 0, 0}));
    }
    op.nr_msrs = std::size(kMsrs);
    return {};
}

Expected<void> take_leaves(Vcpu& caller, Cpu_policy& policy, const xen_domctl_cpu_policy& op,
                           Cpu_policy::Trouble& trouble)
{
    if (op.nr_leaves > Cpu_policy::kMaxSerialised)
        return fail(Errc::e2big);
    for (u32 i = 0; i < op.nr_leaves; ++i) {
        const auto entry = TRY(read_guest_element<xen_cpuid_leaf_t>(caller, address_of(op.leaves), i));
        Cpuid* place     = policy.find(entry.leaf, entry.subleaf);
        if (!place) {
            trouble = {entry.leaf, entry.subleaf};
            return fail(Errc::erange);
        }
        *place = {entry.a, entry.b, entry.c, entry.d};
    }
    return {};
}

// Capabilities that a guest cannot have are left out as features are; of the platform's none may be claimed.
Expected<void> check_msrs(Vcpu& caller, const xen_domctl_cpu_policy& op, u32& trouble)
{
    if (op.nr_msrs > std::size(kMsrs))
        return fail(Errc::e2big);
    for (u32 i = 0; i < op.nr_msrs; ++i) {
        const auto entry = TRY(read_guest_element<xen_msr_entry_t>(caller, address_of(op.msrs), i));
        const bool known = std::find(std::begin(kMsrs), std::end(kMsrs), entry.idx) != std::end(kMsrs);
        if (known && entry.flags == 0 && (entry.idx != kPlatformInfo || entry.val == 0))
            continue;
        trouble = entry.idx;
        return fail(known || entry.flags != 0 ? Errc::einval : Errc::erange);
    }
    return {};
}

Expected<Cpu_policy> system_policy(u32 which)
{
    switch (which) {
    case XEN_SYSCTL_cpu_policy_raw:
    case XEN_SYSCTL_cpu_policy_host: return Cpu_policy::of_machine();
    case XEN_SYSCTL_cpu_policy_hvm_max:
    case XEN_SYSCTL_cpu_policy_hvm_default: return guest_cpu_policy();
    case XEN_SYSCTL_cpu_policy_pv_max:
    case XEN_SYSCTL_cpu_policy_pv_default: return fail(Errc::eopnotsupp);
    default: return fail(Errc::einval);
    }
}

// The featuresets are those of the policies, in another order.
constexpr u32 kPolicyOfFeatureset[] = {XEN_SYSCTL_cpu_policy_raw,        XEN_SYSCTL_cpu_policy_host,
                                       XEN_SYSCTL_cpu_policy_pv_default, XEN_SYSCTL_cpu_policy_hvm_default,
                                       XEN_SYSCTL_cpu_policy_pv_max,     XEN_SYSCTL_cpu_policy_hvm_max};

} // namespace

Expected<void> get_cpu_policy(Vcpu& caller, const Domain& domain, xen_domctl_cpu_policy& op)
{
    return tell(caller, domain.cpu_policy(), op);
}

Expected<void> set_cpu_policy(Vcpu& caller, Domain& domain, xen_domctl_cpu_policy& op)
{
    if (domain.has_run())
        return fail(Errc::eexist);
    Cpu_policy policy = domain.cpu_policy();
    Cpu_policy::Trouble trouble;
    u32 bad_msr = Cpu_policy::kNoSubleaf;
    auto done   = take_leaves(caller, policy, op, trouble);
    if (done)
        done = check_msrs(caller, op, bad_msr);
    if (done)
        done = policy.settle(guest_cpu_policy(), trouble);
    if (done)
        domain.set_cpu_policy(policy);
    op.err_leaf    = trouble.leaf;
    op.err_subleaf = trouble.subleaf;
    op.err_msr     = bad_msr;
    return done;
}

Expected<void> get_system_cpu_policy(Vcpu& caller, xen_sysctl_cpu_policy& op)
{
    if (op._rsvd != 0)
        return fail(Errc::einval);
    return tell(caller, TRY(system_policy(op.index)), op);
}

Expected<void> get_cpu_featureset(Vcpu& caller, xen_sysctl_cpu_featureset& op)
{
    const u32 room = op.nr_features;
    op.nr_features = Cpu_policy::kFeatureWords;
    if (op.features.p == nullptr)
        return {};
    if (op.index >= std::size(kPolicyOfFeatureset))
        return fail(Errc::einval);
    const Cpu_policy policy = TRY(system_policy(kPolicyOfFeatureset[op.index]));
    op.nr_features          = std::min(room, Cpu_policy::kFeatureWords);
    for (u32 word = 0; word < op.nr_features; ++word)
        TRY(write_guest_element(caller, address_of(op.features), word, policy.feature_word(word)));
    return room < Cpu_policy::kFeatureWords ? fail(Errc::enobufs) : Expected<void>();
}

} // namespace vmm

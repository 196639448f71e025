// SPDX-License-Identifier: Apache-2.0
// The part of Xen_control that is about what CPUID tells domains.
#include "toolstack/xen/refusal.hpp"
#include "toolstack/xen/xen_control.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>

namespace vmm
{

namespace
{

// More than any hypervisor keeps of a policy: Xen 4.17 about 120.
constexpr std::uint32_t kMost_leaves = 512;

cpu::Cpu_policy to_policy(const xen_cpuid_leaf_t* leaves, std::uint32_t count)
{
    cpu::Cpu_policy policy;
    std::transform(
        leaves, leaves + std::min(count, kMost_leaves), std::back_inserter(policy),
        [](const xen_cpuid_leaf_t& l) { return cpu::Leaf{l.leaf, l.subleaf, l.a, l.b, l.c, l.d}; });
    return policy;
}

} // namespace

Result<cpu::Cpu_policy> Xen_control::offered_cpu_policy()
{
    const auto buffer = TRY(call_.buffer(kMost_leaves * sizeof(xen_cpuid_leaf_t)));
    xen_sysctl op{};
    auto& query     = op.u.cpu_policy;
    query.index     = XEN_SYSCTL_cpu_policy_hvm_default;
    query.nr_leaves = kMost_leaves;
    set_xen_guest_handle_raw(query.leaves, buffer.as<xen_cpuid_leaf_t>());
    if (const auto done = call_.sysctl(XEN_SYSCTL_get_cpu_policy, op); !done) {
        return refusal(done.error(), "tell what processor it offers to domains", std::nullopt);
    }
    return to_policy(buffer.as<xen_cpuid_leaf_t>(), query.nr_leaves);
}

Result<cpu::Cpu_policy> Xen_control::cpu_policy(Domid id)
{
    const auto buffer = TRY(call_.buffer(kMost_leaves * sizeof(xen_cpuid_leaf_t)));
    xen_domctl op{};
    auto& query     = op.u.cpu_policy;
    query.nr_leaves = kMost_leaves;
    set_xen_guest_handle_raw(query.leaves, buffer.as<xen_cpuid_leaf_t>());
    TRY(simple_domctl(XEN_DOMCTL_get_cpu_policy, id, op, "describe the processor of"));
    return to_policy(buffer.as<xen_cpuid_leaf_t>(), query.nr_leaves);
}

Result<void> Xen_control::set_cpu_policy(Domid id, const cpu::Cpu_policy& policy)
{
    const auto buffer = TRY(call_.buffer(std::max<std::size_t>(policy.size(), 1) * sizeof(xen_cpuid_leaf_t)));
    std::ranges::transform(policy, buffer.as<xen_cpuid_leaf_t>(), [](const cpu::Leaf& l) {
        return xen_cpuid_leaf_t{l.leaf, l.subleaf, l.eax, l.ebx, l.ecx, l.edx};
    });
    xen_domctl op{};
    auto& wanted       = op.u.cpu_policy;
    wanted.nr_leaves   = static_cast<std::uint32_t>(policy.size());
    wanted.err_leaf    = cpu::kNo_subleaf;
    wanted.err_subleaf = cpu::kNo_subleaf;
    set_xen_guest_handle_raw(wanted.leaves, buffer.as<xen_cpuid_leaf_t>());
    const auto done = simple_domctl(XEN_DOMCTL_set_cpu_policy, id, op, "set the processor of");
    if (!done && wanted.err_leaf != cpu::kNo_subleaf) {
        std::array<char, 32> where{};
        std::snprintf(where.data(), where.size(), " (leaf 0x%x of CPUID)", wanted.err_leaf);
        return fail(done.error().code, done.error().message + where.data());
    }
    return done;
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#pragma once
// A CPU policy: everything CPUID tells a domain, leaf by leaf, as hypervisors hand it out and take it
// (XEN_DOMCTL_get_cpu_policy, XEN_DOMCTL_set_cpu_policy). Plain data; a hypervisor judges what it is given.

#include "toolstack/base/error.hpp"
#include "toolstack/cpu/feature_set.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace vmm::cpu
{

struct Leaf {
    std::uint32_t leaf    = 0;
    std::uint32_t subleaf = 0; // kNo_subleaf for leaves that have none
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;

    friend bool operator==(const Leaf&, const Leaf&) = default;
};

inline constexpr std::uint32_t kNo_subleaf = 0xffffffff; // XEN_CPUID_NO_SUBLEAF

using Cpu_policy = std::vector<Leaf>; // ascending

[[nodiscard]] Feature_set features_of(const Cpu_policy& policy);
// Features in leaves that the policy does not have are left out.
void set_features(Cpu_policy& policy, const Feature_set& features);

// "GenuineIntel"; empty where leaf 0 is missing.
[[nodiscard]] std::string vendor_of(const Cpu_policy& policy);
// As the processor calls itself; empty where the leaves are missing.
[[nodiscard]] std::string model_of(const Cpu_policy& policy);

// Why a guest that has lived with one policy cannot go on where hypervisors offer the other: features by
// name.
[[nodiscard]] Result<void> can_go_on(const Cpu_policy& lived_with, const Cpu_policy& offered);

} // namespace vmm::cpu

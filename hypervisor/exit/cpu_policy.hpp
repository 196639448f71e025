// SPDX-License-Identifier: Apache-2.0
//
// What CPUID tells a domain, as far as it is the same for all of its vCPUs at all times: the leaves
// themselves. There is one policy of the machine, one of the most a guest may have, and one of each domain,
// which the toolstack may narrow before the domain runs. The serialised form is a list of leaves in ascending
// order. [xen/include/public/arch-x86/cpufeatureset.h: the featureset; APM3 Appendix E, SDM2 CPUID: the
// leaves]
#pragma once

#include "arch/x86/cpu/cpuid.hpp"
#include "base/expected.hpp"

#include <algorithm>
#include <array>

#include <xen/arch-x86/cpufeatureset.h>
#include <xen/xen.h>

namespace vmm
{

class Cpu_policy
{
  public:
    static constexpr unsigned kFeatureWords = 19; // of the featureset, as Xen 4.17 counts them
    static constexpr u32 kNoSubleaf         = XEN_CPUID_NO_SUBLEAF;

    // Where a policy cannot be accepted.
    struct Trouble {
        u32 leaf    = kNoSubleaf;
        u32 subleaf = kNoSubleaf;
    };

    static Cpu_policy of_machine();
    // The most a guest may have of a machine whose XCR0 bits in `xcr0_mask` can be used.
    static Cpu_policy for_guests(const Cpu_policy& machine, u64 xcr0_mask, bool invariant_tsc,
                                 bool speculation_msrs);

    // The place of a leaf, nullptr for one that no policy has. Leaves without subleaves have kNoSubleaf.
    [[nodiscard]] const Cpuid* find(u32 leaf, u32 subleaf = kNoSubleaf) const;
    [[nodiscard]] Cpuid* find(u32 leaf, u32 subleaf = kNoSubleaf)
    {
        return const_cast<Cpuid*>(std::as_const(*this).find(leaf, subleaf));
    }
    // What the instruction gives: nullptr beyond the highest leaf there is.
    [[nodiscard]] const Cpuid* offered(u32 leaf, u32 subleaf) const
    {
        const bool plain = leaf <= last_basic() && !(kIndexedSet >> leaf & 1);
        return plain ? &leaves_[leaf] : offered_elsewhere(leaf, subleaf);
    }

    [[nodiscard]] u32 feature_word(unsigned word) const;
    [[nodiscard]] bool has(unsigned feature) const { return feature_word(feature / 32) >> feature % 32 & 1; }
    // What may be set in XCR0.
    [[nodiscard]] u64 xcr0() const;
    // The size of an XSAVE area with these parts.
    [[nodiscard]] u32 xsave_size(u64 components) const;

    // Calls put(leaf, subleaf, Cpuid) for each leaf of the serialised form until one fails.
    template <class Put>
    Expected<void> for_each(Put put) const;
    static constexpr u32 kMaxSerialised = 120;

    // Makes a whole of leaves that were put here one by one: einval where they count further than `most`;
    // features that it does not have, or that lack what they depend on, go.
    Expected<void> settle(const Cpu_policy& most, Trouble& trouble);

  private:
    // Basic leaves with subleaves.
    static constexpr u32 kIndexedSet = 1u << 4 | 1u << 7 | 1u << 0xb | 1u << 0xd;

    [[nodiscard]] const Cpuid* offered_elsewhere(u32 leaf, u32 subleaf) const;
    [[nodiscard]] u32 last_basic() const { return std::min(leaves_[0].eax, kBasic - 1); }
    [[nodiscard]] u32 last_extended() const;
    [[nodiscard]] u32 subleaves(u32 leaf) const;
    void read_leaf(u32 leaf);
    void set_feature_word(unsigned word, u32 value);
    void settle_features(const Cpu_policy& most);
    void settle_xstate(const Cpu_policy& most);

    static constexpr u32 kBasic = 0xe, kExtended = 0x22, kHypervisor = 2, kIndexed = 6 + 3 + 2 + 63;
    std::array<Cpuid, kBasic + kExtended + kHypervisor + kIndexed> leaves_{};
};

// The most that a guest's policy can be on this machine, which is also what a domain has until its toolstack
// says otherwise. Made from the machine's CPUID when the first domain is, before there are several CPUs at
// work.
const Cpu_policy& guest_cpu_policy();

template <class Put>
Expected<void> Cpu_policy::for_each(Put put) const
{
    for (u32 leaf = 0; leaf <= last_basic(); ++leaf) {
        if (find(leaf)) {
            TRY(put(leaf, kNoSubleaf, *find(leaf)));
            continue;
        }
        for (u32 i = 0; i < subleaves(leaf); ++i)
            TRY(put(leaf, i, *find(leaf, i)));
    }
    for (const u32 leaf : {0x40000000u, 0x40000100u})
        TRY(put(leaf, kNoSubleaf, *find(leaf)));
    for (u32 leaf = 0x80000000; leaf <= last_extended(); ++leaf)
        TRY(put(leaf, kNoSubleaf, *find(leaf)));
    return {};
}

} // namespace vmm

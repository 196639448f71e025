// SPDX-License-Identifier: Apache-2.0
#include "exit/cpu_policy.hpp"

#include "arch/x86/policy/guest_features.hpp"
#include "base/bits.hpp"

#include <algorithm>
#include <bit>
#include <initializer_list>

namespace vmm
{
namespace
{

using Features = std::array<u32, Cpu_policy::kFeatureWords>;

template <class List = std::initializer_list<unsigned>>
constexpr Features set_of(const List& features)
{
    Features set{};
    for (const unsigned f : features)
        set[f / 32] |= 1u << f % 32;
    return set;
}

#define F(name) XEN_X86_FEATURE_##name

// Leaves 1 and 0x80000001 are shown as the machine has them but for what is not virtualised, and of the later
// ones only what is known to need nothing from a hypervisor.
constexpr unsigned kOldWords    = 4;
constexpr Features kHidden      = set_of(kHiddenFeatures);
constexpr Features kShown       = set_of(kShownFeatures);
constexpr Features kCharacter   = set_of(kCharacterFeatures);
constexpr Features kSpeculation = set_of(kSpeculationFeatures);
// What the toolstack may set for its own topology whatever the machine says.
constexpr Features kTopology    = set_of({F(HTT), F(X2APIC), F(CMP_LEGACY)});

// Features that are gone without another, each behind what it needs in turn.
struct Dependency {
    unsigned needed;
    Features gone;
};
constexpr Dependency kDependencies[] = {
    {F(FXSR), set_of({F(FFXSR), F(SSE)})},
    {F(SSE), set_of({F(SSE2), F(MISALIGNSSE)})},
    {F(SSE2), set_of({F(SSE3), F(AESNI), F(PCLMULQDQ), F(SHA), F(GFNI)})},
    {F(SSE3), set_of({F(SSSE3), F(SSE4A)})},
    {F(SSSE3), set_of({F(SSE4_1)})},
    {F(SSE4_1), set_of({F(SSE4_2)})},
    {F(CLFLUSH), set_of({F(CLFLUSHOPT), F(CLWB)})},
    {F(LM), set_of({F(CX16), F(PCID), F(LAHF_LM), F(PAGE1GB), F(PKU)})},
    {F(PCID), set_of({F(INVPCID)})},
    {F(XSAVE), set_of({F(XSAVEOPT), F(XGETBV1), F(AVX), F(PKU)})},
    {F(AVX), set_of({F(FMA), F(FMA4), F(F16C), F(XOP), F(AVX2)})},
    {F(AVX2), set_of({F(AVX512F), F(VAES), F(VPCLMULQDQ)})},
    {F(AVX512F), set_of({F(AVX512DQ), F(AVX512_IFMA), F(AVX512PF), F(AVX512ER), F(AVX512CD), F(AVX512BW),
                         F(AVX512VL), F(AVX512_VNNI), F(AVX512_VPOPCNTDQ), F(AVX512_4VNNIW), F(AVX512_4FMAPS),
                         F(AVX512_VP2INTERSECT)})},
    {F(AVX512BW), set_of({F(AVX512_VBMI), F(AVX512_VBMI2), F(AVX512_BITALG)})},
};

// Which parts of XCR0 a feature is about.
struct Component {
    unsigned feature;
    u64 xcr0;
};
constexpr Component kComponents[] = {
    {F(XSAVE), 0x3},
    {F(AVX), 0x4},
    {F(AVX512F), 0xe0},
    {F(PKU), 0x200},
};

#undef F

// Where the words of the featureset are. Words 16 and 17 are an MSR, of which guests get nothing.
constexpr u32 kNone = Cpu_policy::kNoSubleaf;
struct Word_place {
    u32 leaf, subleaf;
    u32 Cpuid::*part;
};
constexpr Word_place kWords[Cpu_policy::kFeatureWords] = {
    {1, kNone, &Cpuid::edx},
    {1, kNone, &Cpuid::ecx},
    {0x80000001, kNone, &Cpuid::edx},
    {0x80000001, kNone, &Cpuid::ecx},
    {0xd, 1, &Cpuid::eax},
    {7, 0, &Cpuid::ebx},
    {7, 0, &Cpuid::ecx},
    {0x80000007, kNone, &Cpuid::edx},
    {0x80000008, kNone, &Cpuid::ebx},
    {7, 0, &Cpuid::edx},
    {7, 1, &Cpuid::eax},
    {0x80000021, kNone, &Cpuid::eax},
    {7, 1, &Cpuid::ebx},
    {7, 2, &Cpuid::edx},
    {7, 1, &Cpuid::ecx},
    {7, 1, &Cpuid::edx},
    {kNone, kNone, nullptr},
    {kNone, kNone, nullptr},
    {0x80000021, kNone, &Cpuid::ecx},
};

// The parts of leaves that say something of the CPU model rather than of features: as the machine has them,
// or as the toolstack wants them. Everything else that is no feature is not told.
struct Model_part {
    u32 leaf;
    Cpuid parts;
};
constexpr Model_part kModel[] = {
    {0, {~0u, ~0u, ~0u, ~0u}},
    {1, {~0u, 0x00ffff00, 0, 0}},
    {2, {~0u, ~0u, ~0u, ~0u}},
    {4, {~0u, ~0u, ~0u, ~0u}},
    {7, {~0u, 0, 0, 0}},
    {0x80000000, {~0u, ~0u, ~0u, ~0u}},
    {0x80000001, {~0u, 0, 0, 0}},
    {0x80000002, {~0u, ~0u, ~0u, ~0u}},
    {0x80000003, {~0u, ~0u, ~0u, ~0u}},
    {0x80000004, {~0u, ~0u, ~0u, ~0u}},
    {0x80000005, {~0u, ~0u, ~0u, ~0u}},
    {0x80000006, {~0u, ~0u, ~0u, ~0u}},
    {0x80000008, {0xffff, 0, 0xf0ff, 0}},
    {0x40000000, {~0u, 0, 0, 0}},
};

constexpr u32 kLastBasic = 0xd, kLastExtended = 0x80000021; // that guests get
constexpr Cpuid kArat = {4, 0, 0, 0};                       // leaf 6: the APIC timer never stops

// Leaves with subleaves: where they begin among these, and how many of them are kept.
struct Indexed {
    u32 leaf, first, count;
};
constexpr Indexed kIndexedLeaves[] = {{4, 0, 6}, {7, 6, 3}, {0xb, 9, 2}, {0xd, 11, 63}};

const Indexed* indexed(u32 leaf)
{
    const auto* found = std::ranges::find(kIndexedLeaves, leaf, &Indexed::leaf);
    return found == std::end(kIndexedLeaves) ? nullptr : found;
}

Cpuid masked(const Cpuid& r, const Cpuid& mask)
{
    return {r.eax & mask.eax, r.ebx & mask.ebx, r.ecx & mask.ecx, r.edx & mask.edx};
}

} // namespace

const Cpuid* Cpu_policy::find(u32 leaf, u32 subleaf) const
{
    const Cpuid* const extended   = leaves_.data() + kBasic;
    const Cpuid* const hypervisor = extended + kExtended;
    if (const auto* row = indexed(leaf))
        return subleaf < row->count ? hypervisor + kHypervisor + row->first + subleaf : nullptr;
    if (subleaf != kNoSubleaf)
        return nullptr;
    if (leaf < kBasic)
        return &leaves_[leaf];
    if (leaf - 0x80000000 < kExtended)
        return extended + (leaf - 0x80000000);
    if (leaf == 0x40000000 || leaf == 0x40000100)
        return hypervisor + (leaf >> 8 & 1);
    return nullptr;
}

u32 Cpu_policy::last_extended() const
{
    return std::min(leaves_[kBasic].eax | 0x80000000, 0x80000000 + kExtended - 1);
}

const Cpuid* Cpu_policy::offered_elsewhere(u32 leaf, u32 subleaf) const
{
    if (leaf > (leaf < 0x80000000 ? last_basic() : last_extended()))
        return nullptr;
    if (!indexed(leaf))
        return find(leaf);
    return subleaf < subleaves(leaf) ? find(leaf, subleaf) : nullptr;
}

// How many subleaves say something, with the one that ends a list. It never counts beyond the first that has
// not been read yet, so that reading until the count is reached reads them all.
u32 Cpu_policy::subleaves(u32 leaf) const
{
    const auto type_of = [&](u32 i) {
        return leaf == 4 ? find(4, i)->eax & 0x1f : find(0xb, i)->ecx >> 8 & 0xff;
    };
    const u32 kept = indexed(leaf)->count;
    switch (leaf) {
    case 7: return std::min(find(7, 0)->eax, kept - 1) + 1;
    case 0xd: return std::clamp(static_cast<u32>(std::bit_width(xcr0())), 2u, kept);
    default:
        for (u32 i = 0; i < kept; ++i) {
            if (type_of(i) == 0)
                return i + 1;
        }
        return kept;
    }
}

void Cpu_policy::read_leaf(u32 leaf)
{
    if (!indexed(leaf)) {
        *find(leaf) = cpuid(leaf);
        return;
    }
    for (u32 i = 0; i < subleaves(leaf); ++i)
        *find(leaf, i) = cpuid(leaf, i);
}

Cpu_policy Cpu_policy::of_machine()
{
    Cpu_policy p;
    for (u32 leaf = 0; leaf <= p.last_basic(); ++leaf)
        p.read_leaf(leaf);
    for (u32 leaf = 0x80000000; leaf <= p.last_extended(); ++leaf)
        p.read_leaf(leaf);
    return p;
}

Cpu_policy Cpu_policy::for_guests(const Cpu_policy& machine, u64 xcr0_mask, bool invariant_tsc,
                                  bool speculation_msrs)
{
    Cpu_policy p;
    for (const auto& [leaf, parts] : kModel) {
        if (!indexed(leaf))
            *p.find(leaf) = masked(*machine.find(leaf), parts);
    }
    std::copy_n(machine.find(4, 0), indexed(4)->count, p.find(4, 0));
    p.find(0)->eax          = std::clamp(p.find(0)->eax, 0xbu, kLastBasic);
    p.find(0x80000000)->eax = std::min(p.find(0x80000000)->eax, kLastExtended);
    p.find(1)->ebx          = (p.find(1)->ebx & 0xff00) | 1u << 16; // one thread in a package
    p.find(0x80000008)->ecx = 0;
    *p.find(6)              = kArat;
    p.find(7, 0)->eax       = std::min(machine.find(7, 0)->eax, indexed(7)->count - 1);
    for (unsigned word = 0; word < kFeatureWords; ++word) {
        const u32 later = kShown[word] | kCharacter[word] | (speculation_msrs ? kSpeculation[word] : 0);
        const u32 shown = word < kOldWords ? ~kHidden[word] : later;
        p.set_feature_word(word, machine.feature_word(word) & shown);
    }
    p.find(1)->ecx |= 1u << XEN_X86_FEATURE_X2APIC % 32 | 1u << XEN_X86_FEATURE_HYPERVISOR % 32;
    if (!invariant_tsc)
        p.find(0x80000007)->edx = 0;
    *p.find(0xd, 0) = {static_cast<u32>(xcr0_mask), 0, 0, static_cast<u32>(xcr0_mask >> 32)};
    for (u32 i = 2; i < p.subleaves(0xd); ++i)
        *p.find(0xd, i) = {machine.find(0xd, i)->eax, machine.find(0xd, i)->ebx, 0, 0};
    if (xcr0_mask == 0)
        p.find(1)->ecx &= ~(1u << XEN_X86_FEATURE_XSAVE % 32);
    p.settle_features(p);
    p.settle_xstate(p);
    return p;
}

u32 Cpu_policy::feature_word(unsigned word) const
{
    const auto& place = kWords[word];
    return place.part ? find(place.leaf, place.subleaf)->*place.part : 0;
}

void Cpu_policy::set_feature_word(unsigned word, u32 value)
{
    const auto& place = kWords[word];
    if (place.part)
        find(place.leaf, place.subleaf)->*place.part = value;
}

u64 Cpu_policy::xcr0() const
{
    const Cpuid& leaf = *find(0xd, 0);
    return leaf.eax | u64{leaf.edx} << 32;
}

u32 Cpu_policy::xsave_size(u64 components) const
{
    u32 size = 512 + 64;
    for (u32 i = 2; i < subleaves(0xd); ++i) {
        if (components & bit(i))
            size = std::max(size, find(0xd, i)->eax + find(0xd, i)->ebx);
    }
    return size;
}

void Cpu_policy::settle_features(const Cpu_policy& most)
{
    for (unsigned word = 0; word < kFeatureWords; ++word)
        set_feature_word(word, feature_word(word) & (most.feature_word(word) | kTopology[word]));
    for (const auto& [needed, gone] : kDependencies) {
        for (unsigned word = 0; !has(needed) && word < kFeatureWords; ++word)
            set_feature_word(word, feature_word(word) & ~gone[word]);
    }
}

void Cpu_policy::settle_xstate(const Cpu_policy& most)
{
    u64 components = 0;
    for (const auto& [feature, xcr0] : kComponents)
        components |= has(feature) ? xcr0 : 0;
    components &= most.xcr0();
    const u32 features = components ? find(0xd, 1)->eax : 0;
    for (u32 i = 2; i < indexed(0xd)->count; ++i)
        *find(0xd, i) = components & bit(i) ? *most.find(0xd, i) : Cpuid{};
    *find(0xd, 1) = {features, 0, 0, 0};
    *find(0xd, 0) = {static_cast<u32>(components), 0, 0, static_cast<u32>(components >> 32)};
    if (components)
        find(0xd, 0)->ecx = xsave_size(components);
}

Expected<void> Cpu_policy::settle(const Cpu_policy& most, Trouble& trouble)
{
    const auto beyond = [&](u32 leaf, u32 subleaf) {
        return find(leaf, subleaf)->eax > most.find(leaf, subleaf)->eax;
    };
    const Cpuid &own = *find(0), &host = *most.find(0);
    const bool foreign = own.ebx != host.ebx || own.ecx != host.ecx || own.edx != host.edx;
    for (const Trouble place : {Trouble{0, kNoSubleaf}, Trouble{7, 0}, Trouble{0x80000000, kNoSubleaf}}) {
        if (beyond(place.leaf, place.subleaf) || (place.leaf == 0 && foreign)) {
            trouble = place;
            return fail(Errc::einval);
        }
    }
    Cpu_policy whole;
    TRY(for_each([&](u32 leaf, u32 subleaf, const Cpuid& told) {
        const auto* model          = std::ranges::find(kModel, leaf, &Model_part::leaf);
        const Cpuid parts          = model != std::end(kModel) ? model->parts : Cpuid{};
        *whole.find(leaf, subleaf) = masked(told, parts);
        return Expected<void>();
    }));
    for (unsigned word = 0; word < kFeatureWords; ++word)
        whole.set_feature_word(word, feature_word(word));
    if (last_basic() >= 6)
        *whole.find(6) = kArat;
    if (last_basic() < 0xd)
        whole.find(1)->ecx &= ~(1u << XEN_X86_FEATURE_XSAVE % 32);
    Cpuid& sizes = *whole.find(0x80000008);
    sizes.eax    = std::min(sizes.eax & 0xff, most.find(0x80000008)->eax & 0xff) | (sizes.eax & 0xff00);
    whole.settle_features(most);
    whole.settle_xstate(most);
    *this = whole;
    return {};
}

} // namespace vmm

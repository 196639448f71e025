// SPDX-License-Identifier: Apache-2.0
//
// The CPUID policy against a machine that has everything: what must not reach a guest does not.
#include "exit/cpuid_policy.hpp"

#include "arch/x86/policy/guest_speculation.hpp"
#include "base/bits.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <vector>

using namespace vmm;

namespace vmm
{

// All bits set, except where sizes are looked up.
Cpuid cpuid(u32 leaf, u32 subleaf)
{
    if (leaf == 0)
        return {0x20, 0x68747541, 0x444d4163, 0x69746e65};
    if (leaf == 0x80000000)
        return {0x80000028, 0x68747541, 0x444d4163, 0x69746e65};
    if (leaf == 0xd && subleaf == 2)
        return {256, 576, 0, 0};
    if (leaf == 0x80000008)
        return {0x00303030, ~0u, ~0u, ~0u};
    return {~0u, ~0u, ~0u, ~0u};
}

} // namespace vmm

namespace
{

constexpr Tsc_info kTsc{.khz = 2'200'000, .invariant = true, .is_clock = true};
constexpr Cpuid_context kContext{.vcpu_id   = 3,
                                 .apic_id   = 6,
                                 .max_vcpus = 4,
                                 .domid     = 7,
                                 .xcr0      = 3,
                                 .cr4       = 0,
                                 .tsc       = []() -> const Tsc_info& { return kTsc; }};

Cpu_policy policy(u64 xcr0_mask = 7, bool invariant_tsc = true, bool speculation_msrs = true)
{
    return Cpu_policy::for_guests(Cpu_policy::of_machine(), xcr0_mask, invariant_tsc, speculation_msrs);
}

Cpuid ask(u32 leaf, u32 subleaf = 0, const Cpuid_context& context = kContext, const Cpu_policy& p = policy())
{
    return guest_cpuid(p, leaf, subleaf, context);
}

} // namespace

TEST_CASE("guests know that they are guests, and their APIC")
{
    const auto r = ask(1);
    CHECK(r.ebx >> 24 == 6);
    CHECK((r.ecx & bit(31)) != 0); // hypervisor
    CHECK((r.ecx & bit(21)) != 0); // x2APIC
    CHECK((r.edx & bit(9)) != 0);  // APIC
}

TEST_CASE("a guest's vCPUs are cores of one package, for software of all ages")
{
    CHECK((ask(1).edx & bit(28)) != 0);
    CHECK((ask(1).ebx >> 16 & 0xff) == 8); // ids, of which every other one is used
    CHECK(ask(0x80000008).ecx == (3 << 12 | 3));
    CHECK(ask(0xb, 1).eax == 3);
    Cpuid_context alone = kContext;
    alone.max_vcpus     = 1;
    CHECK((ask(1, 0, alone).edx & bit(28)) == 0);
    CHECK((ask(1, 0, alone).ebx >> 16 & 0xff) == 1);
    CHECK(ask(0x80000008, 0, alone).ecx == 0);
    Cpu_policy of_tools = policy();
    of_tools.find(1)->edx |= bit(28);
    of_tools.find(1)->ebx = 0x20000;
    CHECK((ask(1, 0, kContext, of_tools).ebx >> 16 & 0xff) == 2);
    CHECK(ask(0x80000008, 0, kContext, of_tools).ecx == 0);
}

TEST_CASE("guests do not get what is not virtualised")
{
    const auto one = ask(1);
    CHECK((one.ecx & bit(5)) == 0);  // VMX
    CHECK((one.ecx & bit(3)) == 0);  // MONITOR
    CHECK((one.ecx & bit(24)) == 0); // TSC deadline
    const auto seven = ask(7);
    CHECK((seven.ebx & bit(2)) == 0);  // SGX
    CHECK((seven.ebx & bit(11)) == 0); // RTM
    CHECK((seven.edx & bit(20)) == 0); // CET_IBT
    const auto extended = ask(0x80000001);
    CHECK((extended.ecx & bit(2)) == 0);  // SVM
    CHECK((extended.ecx & bit(12)) == 0); // SKINIT
    CHECK(ask(0x8000000a).edx == 0);
    CHECK(ask(5).eax == 0);
    CHECK(ask(0x12).eax == 0);
}

TEST_CASE("guests are shown how to protect themselves against speculation, if they may")
{
    CHECK((ask(7).edx & (bit(10) | bit(26) | bit(27) | bit(28) | bit(29) | bit(31))) == 0xbc000400);
    CHECK((ask(7, 2).edx & 0x3f) == 0x3f);
    CHECK(ask(0x80000008).ebx == 0x750fd001); // not VIRT_SSBD, whose MSR is not there
    CHECK((ask(0x80000021).eax & bit(8)) != 0);
    CHECK(ask(0x8000001f).eax == 0);

    const auto without = policy(7, true, false);
    CHECK((ask(7, 0, kContext, without).edx & 0xbc000400) == 0x400); // VERW needs no MSR
    CHECK(ask(7, 2, kContext, without).edx == 0x20);
    CHECK(ask(0x80000008, 0, kContext, without).ebx == 0x24000001);
}

TEST_CASE("which bits of the MSRs about speculation a guest may write")
{
    const auto bits = [](const Cpu_policy& p) {
        return std::vector<u64>{speculation_bits(p, 0x48), speculation_bits(p, 0x49),
                                speculation_bits(p, 0x10b)};
    };
    CHECK(bits(policy()) == std::vector<u64>{0x5ff, 0x81, 1});
    CHECK(bits(policy(7, true, false)) == std::vector<u64>{0, 0, 0});
    CHECK(speculation_bits(policy(), 0x10a) == 0);
    auto p                  = policy();
    *p.find(7, 0)           = {2, 0, 0, bit(26)}; // the first microcode: IBRS and IBPB; STIBP is ignored
    *p.find(7, 2)           = {};
    p.find(0x80000008)->ebx = 0;
    p.find(0x80000021)->eax = 0;
    CHECK(bits(p) == std::vector<u64>{0x3, 1, 0});
    *p.find(7, 0)           = {};
    p.find(0x80000008)->ebx = bit(12); // the first Zen: IBPB alone
    CHECK(bits(p) == std::vector<u64>{0, 1, 0});
    p.find(0x80000008)->ebx = bit(12) | bit(14) | bit(24);
    CHECK(bits(p) == std::vector<u64>{0x5, 1, 0});
}

TEST_CASE("OSXSAVE and OSPKE mirror CR4")
{
    auto context = kContext;
    CHECK((ask(1).ecx & bit(27)) == 0);
    CHECK((ask(7).ecx & bit(4)) == 0);
    context.cr4 = bit(18) | bit(22);
    CHECK((ask(1, 0, context).ecx & bit(27)) != 0);
    CHECK((ask(7, 0, context).ecx & bit(4)) != 0);
}

TEST_CASE("the topology agrees with the APIC ids")
{
    CHECK(ask(0xb, 0).edx == 6);
    CHECK(ask(0xb, 0).eax == 1);
    CHECK(ask(0xb, 1).ebx == 4);
    CHECK(ask(0xb, 1).eax == 3); // ids 0 to 6 take three bits
    CHECK(ask(0xb, 2).ecx == 2); // no third level
}

TEST_CASE("Xen's leaves")
{
    const auto base    = ask(0x40000000);
    char signature[13] = {};
    std::memcpy(signature, &base.ebx, 12);
    CHECK(std::string_view(signature) == "XenVMMXenVMM");
    CHECK(base.eax == 0x40000005);
    CHECK(ask(0x40000001).eax == 0x00040011);
    CHECK(ask(0x40000002).eax == 1);
    CHECK(ask(0x40000002).ebx == 0x40000000);
    CHECK(ask(0x40000003).eax == 6); // a safe TSC, and RDTSCP
    CHECK(ask(0x40000003).ecx == 2'200'000);
    CHECK(ask(0x40000003, 2).eax == 2'200'000);
    const auto features = ask(0x40000004);
    CHECK((features.eax & bit(3)) != 0);
    CHECK(features.ebx == 3);
    CHECK(features.ecx == 7);
    CHECK((features.eax & bit(6)) == 0); // upcalls come by the domain's vector
    CHECK(ask(0x40000006).eax == 0);
}

TEST_CASE("XSAVE sizes follow XCR0")
{
    auto context = kContext;
    CHECK(ask(0xd).eax == 7);
    CHECK(ask(0xd).ebx == 576);
    CHECK(ask(0xd).ecx == 832);
    context.xcr0 = 7;
    CHECK(ask(0xd, 0, context).ebx == 832);
    CHECK((ask(0xd, 1).eax & bit(3)) == 0); // XSAVES
    const auto without = policy(0);
    CHECK(ask(0xd, 0, context, without).eax == 0);
    CHECK((ask(1, 0, context, without).ecx & bit(26)) == 0);
}

TEST_CASE("an invariant TSC is only promised when it is one")
{
    CHECK(ask(0x80000007).edx == bit(8));
    CHECK(ask(0x80000007, 0, kContext, policy(7, false)).edx == 0);
}

TEST_CASE("no leaf beyond those that are described")
{
    CHECK(ask(0).eax == 0xd);
    CHECK(ask(0x80000000).eax == 0x80000021);
    CHECK(ask(0x80000000).ebx == 0x68747541); // the machine's own vendor, never another
    CHECK((ask(0x80000008).ebx & 0xffe) == 0);
    CHECK(ask(7).eax == 2);
}

namespace
{

struct Told {
    u32 leaf, subleaf;
    Cpuid r;
};

std::vector<Told> serialised(const Cpu_policy& p)
{
    std::vector<Told> list;
    const auto done = p.for_each([&](u32 leaf, u32 subleaf, const Cpuid& r) {
        list.push_back({leaf, subleaf, r});
        return Expected<void>();
    });
    REQUIRE(done);
    return list;
}

constexpr unsigned kAvx = XEN_X86_FEATURE_AVX, kAvx2 = XEN_X86_FEATURE_AVX2, kXsave = XEN_X86_FEATURE_XSAVE;

} // namespace

TEST_CASE("the serialised form is in ascending order, and what it says makes the same policy again")
{
    const auto most = policy();
    const auto list = serialised(most);
    CHECK(list.size() <= Cpu_policy::kMaxSerialised);
    for (std::size_t i = 1; i < list.size(); ++i)
        CHECK(std::pair(list[i - 1].leaf, list[i - 1].subleaf) < std::pair(list[i].leaf, list[i].subleaf));
    Cpu_policy copy;
    for (const auto& [leaf, subleaf, r] : list)
        *copy.find(leaf, subleaf) = r;
    Cpu_policy::Trouble trouble;
    REQUIRE(copy.settle(most, trouble));
    const auto again = serialised(copy);
    REQUIRE(again.size() == list.size());
    for (std::size_t i = 0; i < list.size(); ++i)
        CHECK(std::memcmp(&again[i], &list[i], sizeof(Told)) == 0);
}

TEST_CASE("leaves that no policy has have no place")
{
    auto p = policy();
    CHECK(p.find(0xe) == nullptr);
    CHECK(p.find(0x80000022) == nullptr);
    CHECK(p.find(0x40000001) == nullptr);
    CHECK(p.find(1, 0) == nullptr);
    CHECK(p.find(7) == nullptr);
    CHECK(p.find(7, 3) == nullptr);
    CHECK(p.find(0xd, 62) != nullptr);
    CHECK(p.find(0xd, 63) == nullptr);
}

TEST_CASE("a feature that is taken away takes along what needs it")
{
    const auto most = policy();
    REQUIRE(most.has(kAvx2));
    auto narrow = most;
    narrow.find(1)->ecx &= ~(1u << kAvx % 32);
    Cpu_policy::Trouble trouble;
    REQUIRE(narrow.settle(most, trouble));
    CHECK_FALSE(narrow.has(kAvx));
    CHECK_FALSE(narrow.has(kAvx2));
    CHECK_FALSE(narrow.has(XEN_X86_FEATURE_AVX512F));
    CHECK(narrow.has(kXsave));
    CHECK(narrow.xcr0() == 3);
    CHECK(ask(0xd, 0, kContext, narrow).ecx == 576);
    CHECK(ask(0xd, 2, kContext, narrow).eax == 0);

    narrow.find(1)->ecx &= ~(1u << kXsave % 32);
    REQUIRE(narrow.settle(most, trouble));
    CHECK(narrow.xcr0() == 0);
    CHECK(ask(0xd, 1, kContext, narrow).eax == 0);
}

TEST_CASE("features beyond what a guest may have are left out, topology excepted")
{
    const auto most = policy();
    auto wide       = most;
    wide.find(1)->ecx |= 1u << XEN_X86_FEATURE_VMX % 32 | 1u << XEN_X86_FEATURE_MONITOR % 32;
    wide.find(1)->edx |= 1u << XEN_X86_FEATURE_HTT % 32;
    wide.find(0x80000001)->ecx |= 1u << XEN_X86_FEATURE_SVM % 32;
    *wide.find(5)              = {64, 64, 3, 0};
    *wide.find(0x8000000a)     = {1, 16, 0, 1};
    wide.find(0x80000008)->eax = 0x3052;
    Cpu_policy::Trouble trouble;
    REQUIRE(wide.settle(most, trouble));
    CHECK_FALSE(wide.has(XEN_X86_FEATURE_VMX));
    CHECK_FALSE(wide.has(XEN_X86_FEATURE_MONITOR));
    CHECK_FALSE(wide.has(XEN_X86_FEATURE_SVM));
    CHECK(wide.has(XEN_X86_FEATURE_HTT));
    CHECK(ask(5, 0, kContext, wide).eax == 0);
    CHECK(ask(0x8000000a, 0, kContext, wide).edx == 0);
    CHECK((ask(0x80000008, 0, kContext, wide).eax & 0xff) == 0x30); // the machine's address width
}

TEST_CASE("a policy that counts further than the machine, or is of another vendor, is refused by place")
{
    const auto most = policy();
    Cpu_policy::Trouble trouble;
    const auto refused = [&](u32 leaf, u32 subleaf, u32 eax) {
        auto p                     = most;
        p.find(leaf, subleaf)->eax = eax;
        trouble                    = {};
        const auto done            = p.settle(most, trouble);
        return !done && done.error() == Errc::einval && trouble.leaf == leaf && trouble.subleaf == subleaf;
    };
    CHECK(refused(0, Cpu_policy::kNoSubleaf, 0xe));
    CHECK(refused(7, 0, 3));
    CHECK(refused(0x80000000, Cpu_policy::kNoSubleaf, 0x80000022));
    auto foreign         = most;
    foreign.find(0)->ebx = 0x756e6547;
    CHECK_FALSE(foreign.settle(most, trouble));
    CHECK(trouble.leaf == 0);
}

TEST_CASE("a shorter policy tells nothing of what it left out")
{
    const auto most = policy();
    auto p          = most;
    p.find(0)->eax  = 7;
    Cpu_policy::Trouble trouble;
    REQUIRE(p.settle(most, trouble));
    CHECK(ask(0, 0, kContext, p).eax == 7);
    CHECK(ask(0xb, 0, kContext, p).edx == 0);
    CHECK(ask(0xd, 0, kContext, p).eax == 0);
    CHECK_FALSE(p.has(kXsave));
    CHECK(p.find(0xd, 2)->eax == 0);
}

TEST_CASE("the featureset's words are where the public header says")
{
    const auto p = Cpu_policy::of_machine();
    CHECK(p.feature_word(0) == ~0u);
    CHECK(p.feature_word(8) == ~0u);
    CHECK(p.feature_word(16) == 0);
    CHECK(policy().feature_word(7) == bit(8));
    CHECK(policy().feature_word(4) == 5); // XSAVEOPT and XGETBV1
}

TEST_CASE("the toolstack may cut Xen's leaves short")
{
    auto p                  = policy();
    p.find(0x40000000)->eax = 4;
    CHECK(ask(0x40000000, 0, kContext, p).eax == 0x40000004);
    CHECK(ask(0x40000004, 0, kContext, p).ebx == 3);
    CHECK(ask(0x40000005, 0, kContext, p).ebx == 0);
}

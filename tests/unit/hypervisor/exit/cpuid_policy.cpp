// SPDX-License-Identifier: Apache-2.0
//
// The CPUID policy against a machine that has everything: what must not reach a guest does not.
#include "exit/cpuid_policy.hpp"

#include "base/bits.hpp"

#include <catch2/catch.hpp>

#include <cstring>

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

constexpr Cpuid_context kContext{.vcpu_id       = 3,
                                 .apic_id       = 6,
                                 .max_vcpus     = 4,
                                 .domid         = 7,
                                 .xcr0          = 3,
                                 .xcr0_mask     = 7,
                                 .cr4           = 0,
                                 .tsc_khz       = 2'200'000,
                                 .invariant_tsc = true,
                                 .rdtscp        = true};

Cpuid ask(u32 leaf, u32 subleaf = 0, const Cpuid_context& context = kContext)
{
    return guest_cpuid(leaf, subleaf, context);
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

TEST_CASE("guests do not get what is not virtualised")
{
    const auto one = ask(1);
    CHECK((one.ecx & bit(5)) == 0);  // VMX
    CHECK((one.ecx & bit(3)) == 0);  // MONITOR
    CHECK((one.ecx & bit(24)) == 0); // TSC deadline
    const auto seven = ask(7);
    CHECK((seven.ebx & bit(2)) == 0);  // SGX
    CHECK((seven.ebx & bit(11)) == 0); // RTM
    CHECK((seven.edx & bit(26)) == 0); // SPEC_CTRL
    const auto extended = ask(0x80000001);
    CHECK((extended.ecx & bit(2)) == 0);  // SVM
    CHECK((extended.ecx & bit(12)) == 0); // SKINIT
    CHECK(ask(0x8000000a).edx == 0);
    CHECK(ask(5).eax == 0);
    CHECK(ask(0x12).eax == 0);
}

TEST_CASE("OSXSAVE mirrors CR4")
{
    auto context = kContext;
    CHECK((ask(1).ecx & bit(27)) == 0);
    context.cr4 = bit(18);
    CHECK((ask(1, 0, context).ecx & bit(27)) != 0);
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
    context.xcr0_mask = 0;
    CHECK(ask(0xd, 0, context).eax == 0);
}

TEST_CASE("an invariant TSC is only promised when it is one")
{
    auto context = kContext;
    CHECK(ask(0x80000007).edx == bit(8));
    context.invariant_tsc = false;
    CHECK(ask(0x80000007, 0, context).edx == 0);
}

TEST_CASE("no leaf beyond those that are described")
{
    CHECK(ask(0).eax == 0xd);
    CHECK(ask(0x80000000).eax == 0x8000001e);
    CHECK(ask(0x80000000).ebx == 0x68747541); // the machine's own vendor, never another
    CHECK((ask(0x80000008).ebx & ~1u) == 0);
}

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/cpu/cpu_policy.hpp"

#include <catch2/catch.hpp>

#include <xen/arch-x86/cpufeatureset.h>

using namespace vmm::cpu;

namespace
{

// An AMD processor, as far as these tests look at it.
Cpu_policy amd()
{
    return {{0, kNo_subleaf, 0xd, 0x68747541, 0x444d4163, 0x69746e65},
            {1, kNo_subleaf, 0x800f12, 0x10800, 0x80000001, 0x178bfbff},
            {7, 0, 1, 0x20, 0, 0},
            {7, 1, 0, 0, 0, 0},
            {0x80000002, kNo_subleaf, 0x20444d41, 0x43595045, 0, 0},
            {0x80000003, kNo_subleaf, 0, 0, 0, 0},
            {0x80000004, kNo_subleaf, 0, 0, 0, 0x20202020}};
}

} // namespace

TEST_CASE("features stand where CPUID has them")
{
    auto policy         = amd();
    const auto features = features_of(policy);
    CHECK(features.words[0] == 0x178bfbff);
    CHECK(features.words[1] == 0x80000001);
    CHECK(features.has(XEN_X86_FEATURE_AVX2));
    CHECK(features.words[9] == 0);

    SECTION("and go there, and nowhere else")
    {
        auto other = features;
        other.set(XEN_X86_FEATURE_AVX2, false);
        other.set(XEN_X86_FEATURE_AVX_VNNI, true);
        other.set(XEN_X86_FEATURE_CLZERO, true); // in a leaf that this one does not have
        set_features(policy, other);
        auto expected   = amd();
        expected[2].ebx = 0;
        expected[3].eax = 0x10;
        CHECK(policy == expected);
    }
}

TEST_CASE("a processor has a maker and a name")
{
    CHECK(vendor_of(amd()) == "AuthenticAMD");
    CHECK(model_of(amd()) == "AMD EPYC");
    CHECK(vendor_of({}).empty());
    CHECK(model_of({}).empty());
}

TEST_CASE("a guest goes on where it finds all it has lived with")
{
    CHECK(can_go_on(amd(), amd()));
    auto less   = amd();
    less[2].ebx = 0;
    CHECK(can_go_on(less, amd()));
    CHECK(can_go_on(amd(), less).error().message == "a processor with avx2, which this one does not offer");
    auto intel   = amd();
    intel[0].ebx = 0x756e6547;
    intel[0].edx = 0x49656e69;
    intel[0].ecx = 0x6c65746e;
    CHECK(can_go_on(amd(), intel).error().message ==
          "a processor of AuthenticAMD, and this one is of GenuineIntel");
}

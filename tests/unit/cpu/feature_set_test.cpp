// SPDX-License-Identifier: Apache-2.0
#include "toolstack/cpu/feature_set.hpp"

#include <catch2/catch.hpp>

#include <xen/arch-x86/cpufeatureset.h>

using namespace vmm::cpu;

namespace
{

Feature_set with(std::initializer_list<unsigned> features)
{
    Feature_set set;
    for (const unsigned feature : features) {
        set.set(feature, true);
    }
    return set;
}

} // namespace

TEST_CASE("a set is written as its words, and read back")
{
    const auto set = with({XEN_X86_FEATURE_FPU, XEN_X86_FEATURE_HYPERVISOR, XEN_X86_FEATURE_AVX2});
    CHECK(set.to_string() == "1:80000000:0:0:0:20");
    CHECK(Feature_set::parse(set.to_string()) == set);
    CHECK(Feature_set().to_string() == "0");
    CHECK(Feature_set::parse("0") == Feature_set());
    CHECK(Feature_set::parse("0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:2")->has(18 * 32 + 1));
}

TEST_CASE("what is no set is refused with its place")
{
    CHECK(Feature_set::parse("").error() == "word 1 is no hexadecimal number of up to 8 digits");
    CHECK(Feature_set::parse("1:x").error() == "word 2 is no hexadecimal number of up to 8 digits");
    CHECK(Feature_set::parse("1:").error() == "word 2 is no hexadecimal number of up to 8 digits");
    CHECK(Feature_set::parse("123456789").error() == "word 1 is no hexadecimal number of up to 8 digits");
    CHECK(Feature_set::parse("000000001").error() == "word 1 is no hexadecimal number of up to 8 digits");
    CHECK(Feature_set::parse("-1").error() == "word 1 is no hexadecimal number of up to 8 digits");
    CHECK(Feature_set::parse("1;2").error() == "expected ':' behind word 1");
    CHECK(Feature_set::parse("0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0").error() ==
          "there are more than 19 words");
}

TEST_CASE("features have names, also xl's")
{
    CHECK(find_feature("avx2") == XEN_X86_FEATURE_AVX2);
    CHECK(find_feature("SSE4.1") == XEN_X86_FEATURE_SSE4_1);
    CHECK(find_feature("avx512-vnni") == XEN_X86_FEATURE_AVX512_VNNI);
    CHECK(find_feature("aes") == XEN_X86_FEATURE_AESNI);
    CHECK_FALSE(find_feature("avx3"));
    CHECK_FALSE(find_feature(""));
    CHECK(name_of(XEN_X86_FEATURE_SSE4_1) == "sse4_1");
    CHECK(names_of(with({XEN_X86_FEATURE_AVX2, XEN_X86_FEATURE_SSE2})) ==
          std::vector<std::string>{"sse2", "avx2"});
    CHECK(listed({"sse2", "avx2"}) == "sse2, avx2");
    CHECK(listed({}).empty());
}

TEST_CASE("what two have in common, and what one lacks")
{
    const auto both = with({XEN_X86_FEATURE_SSE2});
    const auto more = with({XEN_X86_FEATURE_SSE2, XEN_X86_FEATURE_SSE4_2, XEN_X86_FEATURE_AVX2});
    CHECK((with({XEN_X86_FEATURE_SSE2, XEN_X86_FEATURE_CLZERO}) & more) == both);
    CHECK(missing(more, both) == std::vector<std::string>{"sse4_2", "avx2"});
    CHECK(missing(both, more).empty());
    CHECK(
        missing(with({XEN_X86_FEATURE_OSXSAVE, XEN_X86_FEATURE_HTT, XEN_X86_FEATURE_X2APIC}), both).empty());
}

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/cpu/wanted_features.hpp"

#include <catch2/catch.hpp>

#include <xen/arch-x86/cpufeatureset.h>

using namespace vmm::cpu;

namespace
{

Feature_set offered() { return *Feature_set::parse("178bfbff:82000001:0:0:0:20"); }

std::string written_back(const std::string& text)
{
    const auto wanted = Wanted_features::parse(text);
    return wanted ? wanted->to_string() : wanted.error();
}

} // namespace

TEST_CASE("cpuid = is read and written")
{
    CHECK(*Wanted_features::parse("host") == Wanted_features());
    CHECK(written_back("host") == "host");
    CHECK(written_back("host,avx2=0,aes=1") == "host,avx2=0,aesni=1");
    CHECK(written_back("1:2,avx2=0") == "1:2,avx2=0");
    CHECK(written_back("host,avx2=x,sse3=k,ssse3=s") == "host");
    CHECK(written_back("") == "is empty: give \"host\"");
    CHECK(written_back("host,avx3=0") ==
          "\"avx3\" is no feature: `xm cpu-policy` lists what this host offers");
    CHECK(written_back("host,avx2") == "\"avx2\": give avx2=0 or avx2=1");
    CHECK(written_back("host,avx2=2") == "\"avx2=2\": give avx2=0 or avx2=1");
    CHECK(written_back("host,") == "\"\" is no feature: `xm cpu-policy` lists what this host offers");
    CHECK(written_back("avx2=0").starts_with("\"avx2=0\" is neither \"host\" nor a set"));
}

TEST_CASE("a domain gets what it asks for of what there is")
{
    CHECK(*Wanted_features().out_of(offered()) == offered());
    CHECK_FALSE(Wanted_features::parse("host,avx2=0")->out_of(offered())->has(XEN_X86_FEATURE_AVX2));
    CHECK(*Wanted_features::parse("178bfbff")->out_of(offered()) == *Feature_set::parse("178bfbff"));
    CHECK(Wanted_features::parse("host,avx512f=1,sha=1")->out_of(offered()).error().message ==
          "cpuid: this host does not offer avx512f, sha");
    CHECK(*Wanted_features::parse("178bfbff:1,aesni=1")->out_of(offered()) ==
          *Feature_set::parse("178bfbff:2000001"));
}

// SPDX-License-Identifier: Apache-2.0
//
// The words of spec-ctrl=, and the line of the report.
#include "cpus.hpp"
#include "platform/command_line.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace vmm;
using enum Measure;

namespace
{

Speculation_wishes parse(std::initializer_list<const char*> words)
{
    Speculation_wishes wishes;
    for (const char* word : words) {
        INFO(word);
        CHECK(parse_spec_ctrl_word(word, wishes));
    }
    return wishes;
}

std::string report(const Speculation_facts& cpu, std::initializer_list<const char*> words = {})
{
    char text[256];
    return std::string(describe(plan_speculation(cpu, parse(words)), text));
}

} // namespace

TEST_CASE("spec-ctrl: forms of a word")
{
    for (const char* on : {"rsb", "rsb=1", "rsb=yes", "rsb=on", "rsb=true", "rsb=hvm", "rsb=hvm=1"}) {
        CHECK(parse({on}).on == Measures{rsb});
        CHECK(parse({on}).off == Measures{});
    }
    for (const char* off :
         {"no-rsb", "rsb=0", "rsb=no", "rsb=off", "rsb=false", "rsb=no-hvm", "rsb=hvm=no"}) {
        CHECK(parse({off}).on == Measures{});
        CHECK(parse({off}).off == Measures{rsb});
    }
    for (const char* nothing : {"pv", "no-pv", "pv=off", "rsb=pv", "rsb=no-pv", "rsb=pv=0", "yes", "on"}) {
        CHECK(parse({nothing}).on == Measures{});
        CHECK(parse({nothing}).off == Measures{});
    }
}

TEST_CASE("spec-ctrl: the option help names every word")
{
    static std::string form;
    for_each_option([](std::string_view name, std::string_view words, std::string_view) {
        if (name == "spec-ctrl")
            form = words;
    });
    for (const char* word :
         {"no", "yes", "xen", "hvm", "pv", "msr-sc", "rsb", "verw", "md-clear", "ibpb-entry", "ibrs", "ibpb",
          "ssbd", "l1d-flush", "bhi-dis-s", "div-scrub", "bti-thunk=retpoline"}) {
        INFO(word);
        CHECK((" " + form).find(" " + std::string(word)) != std::string::npos);
        parse({word});
    }
}

TEST_CASE("spec-ctrl: the last word counts")
{
    CHECK(parse({"no", "rsb"}).off == Measures::every() - Measures{rsb});
    CHECK(parse({"rsb", "no-rsb"}).on == Measures{});
    CHECK(parse({"no-rsb", "rsb"}).off == Measures{});
    CHECK(parse({"no", "yes"}).off == Measures{});
    CHECK(parse({"no-hvm"}).off == Measures{msr_sc, rsb, verw, ibpb_exit});
    CHECK(parse({"no-hvm", "hvm"}).off == Measures{});
    CHECK(parse({"no-hvm", "hvm"}).on == Measures{});
}

TEST_CASE("spec-ctrl: names that have two measures, and bti-thunk")
{
    CHECK(parse({"no-ibrs"}).off == Measures{ibrs, auto_ibrs});
    CHECK(parse({"no-l1d-flush"}).off == Measures{l1d_flush, l1d_fill});
    CHECK(parse({"md-clear"}).on == parse({"verw"}).on);
    CHECK(parse({"bti-thunk=jmp"}).off == Measures{retpoline});
    CHECK(parse({"bti-thunk=retpoline"}).on == Measures{retpoline});
}

TEST_CASE("spec-ctrl: what is not understood changes nothing")
{
    for (const char* bad :
         {"rsbb", "", "rsb=maybe", "no-", "no-bti-thunk=lfence", "bti-thunk=lfence", "bti-thunk", "ibrs=hvm",
          "ibpb=pv", "rsb=dom0", "eager", "=", "no-no-rsb", "rsb=hvm=perhaps"}) {
        INFO(bad);
        Speculation_wishes wishes;
        CHECK_FALSE(parse_spec_ctrl_word(bad, wishes));
        CHECK(wishes.on == Measures{});
        CHECK(wishes.off == Measures{});
    }
}

TEST_CASE("spec-ctrl: the report")
{
    CHECK(report(cpus::kTcg) == "nothing to do");
    CHECK(report(cpus::kSkylakeSp) ==
          "IBRS, RSB, IBPB, L1D_FLUSH, SPEC_CTRL for guests, small pages for code");
    CHECK(report(cpus::kHaswell, {"no-rsb", "no-ibpb"}) ==
          "retpoline, L1D_FLUSH, SPEC_CTRL for guests, small pages for code; off by spec-ctrl=: RSB, IBPB");
    CHECK(report(cpus::kBochs) ==
          "retpoline, RSB, L1D refilled, small pages for code; lacking, which newer microcode may bring: "
          "IBPB, VERW, L1D_FLUSH, SSBD");
    CHECK(report(cpus::kZen1, {"no"}).starts_with("nothing; off by spec-ctrl=: retpoline, RSB, IBPB"));
}

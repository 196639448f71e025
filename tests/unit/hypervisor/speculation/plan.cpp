// SPDX-License-Identifier: Apache-2.0
//
// Which CPU gets which measures, and why.
#include "cpus.hpp"

#include <catch2/catch.hpp>

#include <ostream>

namespace vmm
{
std::ostream& operator<<(std::ostream& out, const Measures& measures)
{
    Speculation_plan plan;
    plan.done = measures;
    char text[256];
    return out << describe(plan, text);
}
} // namespace vmm

using namespace vmm;
using namespace vmm::cpus;
using enum Measure;

namespace
{

struct Row {
    const char* why;
    Speculation_facts cpu;
    Measures done, lacking;
    u32 host_spec_ctrl;
};

const Row kRows[] = {
    {"Nehalem as it was sold: no MSR, no microcode; the cache can be refilled at switches at least",
     kNehalem,
     {retpoline, rsb, l1d_fill, small_code},
     {ibpb, verw, l1d_flush, ssbd},
     0},
    {"Westmere with the last microcode: the flush clears the buffers too, VERW is not needed",
     kWestmere,
     {retpoline, rsb, ibpb, l1d_flush, msr_sc, small_code},
     {},
     0},
    {"Haswell: its returns never fall back on the predictor of indirect branches, so retpoline will do",
     kHaswell,
     {retpoline, rsb, ibpb, l1d_flush, msr_sc, small_code},
     {},
     0},
    {"Skylake: its returns do, so IBRS, written anew at every exit",
     kSkylakeSp,
     {ibrs, rsb, ibpb, l1d_flush, msr_sc, small_code},
     {},
     1},
    {"Cascade Lake: neither L1TF nor MDS, IBRS once and for all; histories of branches still count, and with "
     "transactions the buffers can be read after all",
     kCascadeLake,
     {ibrs, retpoline, rsb, ibpb, tsx_off, msr_sc, small_code},
     {},
     1},
    {"Cascade Lake before the microcode that can turn transactions off",
     kCascadeLakeOld,
     {ibrs, retpoline, rsb, ibpb, msr_sc, small_code},
     {tsx_off},
     1},
    {"Ice Lake: as Cascade Lake, and transactions do no harm",
     kIceLakeSp,
     {ibrs, retpoline, rsb, ibpb, msr_sc},
     {},
     1},
    {"Sapphire Rapids: the history of branches has a bit of its own",
     kSapphireRapids,
     {ibrs, bhi_dis, rsb, ibpb, msr_sc},
     {},
     0x401},
    {"the first Atoms execute in order", kBonnell, {}, {}, 0},
    {"Silvermont: of MDS the store buffer, nothing of L1TF",
     kSilvermont,
     {retpoline, rsb, ibpb, verw, msr_sc},
     {},
     0},
    {"Gemini Lake: what its registers leave behind is cleared by VERW",
     kGeminiLake,
     {retpoline, rsb, ibpb, verw, msr_sc},
     {},
     0},
    {"Bulldozer without microcode", kBulldozer, {retpoline, rsb, lfence}, {ibpb, ibpb_exit, ssbd}, 0},
    {"Zen without microcode", kZen1Old, {retpoline, rsb, lfence, div_scrub}, {ibpb, ibpb_exit, ssbd}, 0},
    {"Zen: any branch may be predicted to be an indirect one, so predictions are forgotten at exits",
     kZen1,
     {retpoline, rsb, ibpb, ibpb_exit, lfence, msr_sc, div_scrub},
     {ssbd},
     0},
    {"Zen 2: the same; guests have all of SPEC_CTRL; its vector registers are kept from being read",
     kZen2,
     {retpoline, rsb, ibpb, ibpb_exit, lfence, msr_sc, fp_backup},
     {},
     0},
    {"Zen 2 with the microcode for that", kZen2New, {retpoline, rsb, ibpb, ibpb_exit, lfence, msr_sc}, {}, 0},
    {"Zen 3 with the microcode whose barrier covers SRSO; LFENCE serialises by itself",
     kZen3,
     {retpoline, rsb, ibpb, ibpb_exit, msr_sc},
     {},
     0},
    {"Zen 4: Automatic IBRS, which empties the return predictor too; VERW against TSA",
     kZen4,
     {auto_ibrs, ibpb, ibpb_exit, verw, msr_sc},
     {},
     0},
    {"Zen 5", kZen5, {auto_ibrs, ibpb, msr_sc}, {}, 0},
    {"QEMU's interpreter speculates about nothing", kTcg, {}, {}, 0},
    {"Bochs does not say that it is one: it gets what a Haswell without microcode gets",
     kBochs,
     {retpoline, rsb, l1d_fill, small_code},
     {ibpb, verw, l1d_flush, ssbd},
     0},
};

Speculation_plan plan(const Speculation_facts& cpu, std::initializer_list<const char*> words = {})
{
    Speculation_wishes wishes;
    for (const char* word : words)
        REQUIRE(parse_spec_ctrl_word(word, wishes));
    return plan_speculation(cpu, wishes);
}

} // namespace

TEST_CASE("speculation: what each CPU gets by default")
{
    for (const Row& row : kRows) {
        INFO(row.why);
        const auto p = plan(row.cpu);
        CHECK(p.done == row.done);
        CHECK(p.lacking == row.lacking);
        CHECK(p.off == Measures{});
        CHECK(p.host_spec_ctrl == row.host_spec_ctrl);
    }
}

TEST_CASE("speculation: SPEC_CTRL is switched where it exists and the VMCB does not do it")
{
    CHECK_FALSE(plan(kNehalem).switch_spec_ctrl);
    CHECK_FALSE(plan(kZen1).switch_spec_ctrl); // PRED_CMD only
    CHECK(plan(kHaswell).switch_spec_ctrl);
    CHECK(plan(kZen2).switch_spec_ctrl);
    CHECK_FALSE(plan(kZen3).switch_spec_ctrl);
    CHECK(plan(kZen3).virtual_spec_ctrl);
    // Guests that do not have it run with 0 in it; where the hypervisor does too, nothing changes.
    CHECK_FALSE(plan(kHaswell, {"no-msr-sc"}).switch_spec_ctrl);
    CHECK(plan(kSkylakeSp, {"no-msr-sc"}).switch_spec_ctrl);
}

TEST_CASE("speculation: IBRS is written at every exit, but where it is once and for all")
{
    CHECK(plan(kSkylakeSp).renew_ibrs);
    CHECK_FALSE(plan(kCascadeLake).renew_ibrs);
    CHECK_FALSE(plan(kHaswell).renew_ibrs);
}

TEST_CASE("speculation: what guests read in ARCH_CAPABILITIES")
{
    CHECK(plan(kCascadeLake).guest_arch_capabilities == 0x2b); // no TSX_CTRL: they have no transactions
    CHECK(plan(kIceLakeSp).guest_arch_capabilities == 0x16b);
    CHECK(plan(kCascadeLake, {"no-msr-sc"}).guest_arch_capabilities == 0);
    auto all              = kIceLakeSp;
    all.arch_capabilities = ~0ull;
    // None that names an MSR: TSX_CTRL, MCU_OPT_CTRL, MISC_PACKAGE_CTLS, FB_CLEAR_DIS, XAPIC_DISABLE_STATUS
    // ...
    CHECK(plan(all).guest_arch_capabilities == 0x4000'0000'1d1a'e17full);
}

TEST_CASE("speculation: spec-ctrl=no leaves nothing, and says so")
{
    for (const Row& row : kRows) {
        INFO(row.why);
        const auto p = plan(row.cpu, {"no"});
        CHECK(p.done == Measures{});
        CHECK(p.off == row.done);
        CHECK(p.lacking == row.lacking);
        CHECK(p.host_spec_ctrl == 0);
        CHECK_FALSE(p.switch_spec_ctrl);
    }
}

TEST_CASE("speculation: xen=no leaves the guests their own protection")
{
    const auto p = plan(kSkylakeSp, {"no-xen"});
    CHECK(p.done == Measures{msr_sc});
    CHECK(p.switch_spec_ctrl);
    CHECK(p.host_spec_ctrl == 0);
}

TEST_CASE("speculation: what is refused is made up for where that is possible")
{
    CHECK(plan(kSkylakeSp, {"no-ibrs"}).done ==
          Measures{retpoline, rsb, ibpb, l1d_flush, msr_sc, small_code});
    CHECK(plan(kSkylakeSp, {"no-ibrs"}).off == Measures{ibrs});
    CHECK(plan(kZen4, {"ibrs=off"}).done == Measures{retpoline, rsb, ibpb, ibpb_exit, verw, msr_sc});
    CHECK(plan(kHaswell, {"no-l1d-flush"}).done == Measures{retpoline, rsb, ibpb, verw, msr_sc, small_code});
    CHECK(plan(kSapphireRapids, {"no-bhi-dis-s"}).done == Measures{ibrs, retpoline, rsb, ibpb, msr_sc});
    CHECK(plan(kNehalem, {"no-l1d-flush"}).done == Measures{retpoline, rsb, small_code});
}

TEST_CASE("speculation: what is asked for is done where it is possible")
{
    CHECK(plan(kHaswell, {"ssbd"}).host_spec_ctrl == 4);
    CHECK(plan(kHaswell, {"ibrs"}).host_spec_ctrl == 1);
    CHECK(plan(kHaswell, {"md-clear"}).has(verw));
    CHECK(plan(kTcg, {"div-scrub"}).has(div_scrub));
    CHECK(plan(kIceLakeSp, {"l1d-flush"}).has(l1d_flush));
    CHECK_FALSE(plan(kNehalem, {"ibrs", "ibpb", "ssbd"}).has(ibrs));
    CHECK_FALSE(plan(kNehalem, {"verw"}).has(verw)); // it would clear nothing
    CHECK(plan(kTcg, {"rsb", "bti-thunk=retpoline", "verw", "ibpb"}).done == Measures{rsb, retpoline});
    // By default dom0 is trusted with the predictions at its exits; who asks for the barrier has it for all.
    CHECK_FALSE(plan(kZen2).distrust_dom0);
    CHECK(plan(kZen2, {"ibpb-entry"}).distrust_dom0);
}

TEST_CASE("speculation: SSBD before there was SPEC_CTRL for it")
{
    CHECK(plan(kZen1, {"ssbd"}).ls_cfg == 1u << 10);
    CHECK(plan(kBulldozer, {"ssbd"}).ls_cfg == 1ull << 54);
    CHECK(plan(kZen2, {"ssbd"}).ls_cfg == 0);
    CHECK(plan(kZen1).ls_cfg == 0);
}

TEST_CASE("speculation: a CPU of nobody's")
{
    const auto p = plan({.signature = 0x6f0, .leaf7_edx = 1u << 26});
    CHECK(p.done == Measures{retpoline, rsb, ibpb, msr_sc});
}

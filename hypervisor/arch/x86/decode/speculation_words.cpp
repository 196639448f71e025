// SPDX-License-Identifier: Apache-2.0
//
// The words of spec-ctrl=, which are Xen's [xen-command-line, spec-ctrl], and those of the report.
#include "arch/x86/decode/speculation.hpp"

#include "base/format.hpp"
#include "platform/text_scan.hpp"

#include <algorithm>
#include <iterator>

namespace vmm
{
namespace
{

using enum Measure;

struct Word {
    std::string_view name;
    Measures on, off; // what it adds, and what no-name or name=no takes away
};
constexpr Measures kOfHypervisor = Measures::every() - Measures{msr_sc};
constexpr Measures kOfGuests     = {msr_sc, rsb, verw, ibpb_exit};

constexpr Word kWords[] = {
    {"xen", {}, kOfHypervisor},
    {"hvm", {}, kOfGuests},
    {"pv", {}, {}}, // there are none
    {"msr-sc", {msr_sc}, {msr_sc}},
    {"rsb", {rsb}, {rsb}},
    {"md-clear", {verw}, {verw}},
    {"verw", {verw}, {verw}},
    {"ibpb-entry", {ibpb_exit}, {ibpb_exit}},
    {"ibrs", {ibrs}, {ibrs, auto_ibrs}},
    {"ibpb", {ibpb}, {ibpb}},
    {"ssbd", {ssbd}, {ssbd}},
    {"l1d-flush", {l1d_flush}, {l1d_flush, l1d_fill}},
    {"bhi-dis-s", {bhi_dis}, {bhi_dis}},
    {"div-scrub", {div_scrub}, {div_scrub}},
};

void apply(Speculation_wishes& wishes, const Word& word, bool wanted)
{
    wishes.on  = wanted ? wishes.on | word.on : wishes.on - word.off;
    wishes.off = wanted ? wishes.off - word.off : wishes.off | word.off;
}

struct Name {
    Measure measure;
    std::string_view text;
};
constexpr Name kNames[] = {
    {retpoline, "retpoline"},
    {ibrs, "IBRS"},
    {auto_ibrs, "AutoIBRS"},
    {bhi_dis, "BHI_DIS_S"},
    {rsb, "RSB"},
    {ibpb, "IBPB"},
    {ibpb_exit, "IBPB at exits"},
    {verw, "VERW"},
    {l1d_flush, "L1D_FLUSH"},
    {l1d_fill, "L1D refilled"},
    {tsx_off, "no TSX"},
    {lfence, "LFENCE"},
    {ssbd, "SSBD"},
    {msr_sc, "SPEC_CTRL for guests"},
    {small_code, "small pages for code"},
    {fp_backup, "FP backup"},
    {div_scrub, "divider cleared"},
};
static_assert(std::size(kNames) == kMeasures);

// Adds "title a, b, c" behind what is there, or, with a text for that, what says that there are none.
std::size_t add(std::span<char> out, std::string_view title, Measures measures, std::string_view none)
{
    std::size_t used = 0;
    const auto put   = [&](std::string_view a, std::string_view b) {
        used += format_to(out.subspan(used), "{}{}", a, b).size();
    };
    if (measures.empty()) {
        put(none, "");
        return used;
    }
    for (const Name& name : kNames) {
        if (measures.has(name.measure))
            put(used == 0 ? title : ", ", name.text);
    }
    return used;
}

} // namespace

// word, no-word, word=boolean; some also as word=hvm, word=no-hvm and word=hvm=boolean, where the guests of
// which it is said may be pv, of which there are none.
bool parse_spec_ctrl_word(std::string_view word, Speculation_wishes& wishes)
{
    if (const auto all = parse_truth(word); all && !word.empty()) {
        apply(wishes, {"", {}, Measures::every()}, *all);
        return true;
    }
    const auto take_no = [](std::string_view& text) {
        const bool no = text.starts_with("no-");
        text.remove_prefix(no ? 3 : 0);
        return no;
    };
    bool wanted            = !take_no(word);
    const auto name        = take_until(word, '=');
    std::string_view value = word;
    if (name == "bti-thunk" && (value == "retpoline" || value == "jmp")) {
        apply(wishes, {"", {retpoline}, {retpoline}}, value == "retpoline");
        return wanted;
    }
    const auto* found = std::ranges::find(kWords, name, &Word::name);
    if (found == std::end(kWords))
        return false;
    if (value.starts_with("no-") || value.starts_with("hvm") || value.starts_with("pv")) {
        wanted           = wanted != take_no(value);
        const auto whose = take_until(value, '=');
        if ((found->off - kOfGuests) != Measures{} || (whose != "hvm" && whose != "pv"))
            return false;
        if (whose == "pv")
            return true;
    }
    const auto is = parse_truth(value);
    if (is)
        apply(wishes, *found, wanted && *is);
    return is.has_value();
}

std::string_view describe(const Speculation_plan& plan, std::span<char> out)
{
    std::size_t used = add(out, "", plan.done, plan.off.empty() ? "nothing to do" : "nothing");
    used += add(out.subspan(used), "; off by spec-ctrl=: ", plan.off, "");
    used += add(out.subspan(used), "; lacking, which newer microcode may bring: ", plan.lacking, "");
    return {out.data(), used};
}

} // namespace vmm

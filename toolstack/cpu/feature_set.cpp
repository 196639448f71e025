// SPDX-License-Identifier: Apache-2.0
#include "toolstack/cpu/feature_set.hpp"

#include <xen/arch-x86/cpufeatureset.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <functional>
#include <utility>

namespace vmm::cpu
{

namespace
{

struct Feature {
    std::string_view name;
    unsigned bit;
};

constexpr Feature kFeatures[] = {
#define XEN_CPUFEATURE(name, bit) {#name, bit},
#include <xen/arch-x86/cpufeatureset.h>
#undef XEN_CPUFEATURE
};

// What xl and Linux call some of them.
constexpr std::pair<std::string_view, std::string_view> kOther_names[] = {
    {"aes", "aesni"},    {"clfsh", "clflush"}, {"cmpxchg16", "cx16"},
    {"cmpxchg8", "cx8"}, {"pni", "sse3"},      {"sha_ni", "sha"},
};

constexpr unsigned kNever_missed[] = {
    XEN_X86_FEATURE_HTT,        XEN_X86_FEATURE_X2APIC,        XEN_X86_FEATURE_CMP_LEGACY,
    XEN_X86_FEATURE_HYPERVISOR, XEN_X86_FEATURE_OSXSAVE,       XEN_X86_FEATURE_OSPKE,
    XEN_X86_FEATURE_NO_FPU_SEL, XEN_X86_FEATURE_FDP_EXCP_ONLY,
};

// Of a name as anybody may write it.
std::string lower(std::string_view name)
{
    std::string text(name);
    std::ranges::transform(text, text.begin(), [](unsigned char c) {
        return c == '-' || c == '.' ? '_' : static_cast<char>(std::tolower(c));
    });
    return text;
}

} // namespace

void Feature_set::set(unsigned feature, bool there)
{
    const std::uint32_t bit = 1U << feature % 32;
    words[feature / 32]     = there ? words[feature / 32] | bit : words[feature / 32] & ~bit;
}

std::expected<Feature_set, std::string> Feature_set::parse(std::string_view text)
{
    Feature_set set;
    const char* at        = text.data();
    const char* const end = text.data() + text.size();
    for (unsigned word = 0; word < kWords; ++word) {
        const auto [stop, trouble] = std::from_chars(at, end, set.words[word], 16);
        if (trouble != std::errc{} || stop - at > 8) {
            return std::unexpected("word " + std::to_string(word + 1) +
                                   " is no hexadecimal number of up to 8 digits");
        }
        if (stop == end) {
            return set;
        }
        if (*stop != ':') {
            return std::unexpected("expected ':' behind word " + std::to_string(word + 1));
        }
        at = stop + 1;
    }
    return std::unexpected("there are more than " + std::to_string(kWords) + " words");
}

std::string Feature_set::to_string() const
{
    const auto last = std::find_if(words.rbegin(), words.rend() - 1, std::identity{});
    std::string text;
    for (auto word = words.begin(); word != last.base(); ++word) {
        std::array<char, 8> digits{};
        const auto [end, trouble] = std::to_chars(digits.data(), digits.data() + digits.size(), *word, 16);
        text.append(text.empty() ? "" : ":").append(digits.data(), end);
    }
    return text;
}

Feature_set operator&(const Feature_set& a, const Feature_set& b)
{
    Feature_set both;
    std::ranges::transform(a.words, b.words, both.words.begin(), std::bit_and<>{});
    return both;
}

std::optional<unsigned> find_feature(std::string_view name)
{
    std::string wanted = lower(name);
    if (const auto* other =
            std::ranges::find(kOther_names, wanted, &std::pair<std::string_view, std::string_view>::first);
        other != std::end(kOther_names)) {
        wanted = other->second;
    }
    const auto* const found =
        std::ranges::find_if(kFeatures, [&](const Feature& f) { return lower(f.name) == wanted; });
    return found == std::end(kFeatures) ? std::nullopt : std::optional(found->bit);
}

std::string name_of(unsigned feature)
{
    return lower(std::ranges::find(kFeatures, feature, &Feature::bit)->name);
}

std::vector<std::string> names_of(const Feature_set& set)
{
    std::vector<std::string> names;
    for (const Feature& feature : kFeatures) {
        if (set.has(feature.bit)) {
            names.push_back(lower(feature.name));
        }
    }
    return names;
}

std::string listed(const std::vector<std::string>& names)
{
    std::string text;
    for (const std::string& name : names) {
        text += (text.empty() ? "" : ", ") + name;
    }
    return text;
}

std::vector<std::string> missing(const Feature_set& wanted, const Feature_set& offered)
{
    Feature_set gone;
    std::ranges::transform(wanted.words, offered.words, gone.words.begin(),
                           [](std::uint32_t want, std::uint32_t offer) { return want & ~offer; });
    for (const unsigned feature : kNever_missed) {
        gone.set(feature, false);
    }
    return names_of(gone);
}

} // namespace vmm::cpu

// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which features CPUID tells of, as a set: the words and the names of <xen/arch-x86/cpufeatureset.h>. Written
// as text it is the words in hexadecimal with colons between, without the zeros at the end. It knows neither
// where in CPUID a word stands (cpu_policy.hpp) nor what a processor has.

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vmm::cpu
{

struct Feature_set {
    static constexpr unsigned kWords = 19; // as Xen 4.17 counts them

    std::array<std::uint32_t, kWords> words{};

    [[nodiscard]] bool has(unsigned feature) const { return (words[feature / 32] >> feature % 32 & 1) != 0; }
    void set(unsigned feature, bool there);

    // The error is a clause that says what is wrong with the text.
    [[nodiscard]] static std::expected<Feature_set, std::string> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;

    friend bool operator==(const Feature_set&, const Feature_set&) = default;
};

// What both have.
[[nodiscard]] Feature_set operator&(const Feature_set& a, const Feature_set& b);

// Names are in lower case ("avx512_vnni"). Dashes and dots are as good as underscores, and some names of xl's
// and Linux' are known.
[[nodiscard]] std::optional<unsigned> find_feature(std::string_view name);
[[nodiscard]] std::string name_of(unsigned feature); // one that find_feature() gave

// Names of what is in the set, in the order of the bits; bits without a name are left out.
[[nodiscard]] std::vector<std::string> names_of(const Feature_set& set);
[[nodiscard]] std::string listed(const std::vector<std::string>& names); // "avx, avx2"

// What a guest with `wanted` would miss where only `offered` is to be had. Left out: what the machine's
// topology, the hypervisor or the guest's own control registers decide, and what says that something is gone.
[[nodiscard]] std::vector<std::string> missing(const Feature_set& wanted, const Feature_set& offered);

} // namespace vmm::cpu

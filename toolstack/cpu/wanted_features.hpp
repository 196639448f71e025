// SPDX-License-Identifier: Apache-2.0
#pragma once
// What `cpuid =` in a domain's configuration asks for: all that the host offers, or a set made for several
// hosts (`xm cpu-policy`), and single features on or off: "host,avx2=0", "178bfbff:f6f83203,aes=0".

#include "toolstack/base/error.hpp"
#include "toolstack/cpu/feature_set.hpp"

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vmm::cpu
{

struct Wanted_features {
    std::optional<Feature_set> set;                // none: what the host offers
    std::vector<std::pair<unsigned, bool>> single; // features, as find_feature() numbers them

    // The error is a clause that says what is wrong with the text.
    [[nodiscard]] static std::expected<Wanted_features, std::string> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;

    // What of this host's offer a domain gets. Refused, by name, is what is asked for and not offered.
    [[nodiscard]] Result<Feature_set> out_of(const Feature_set& offered) const;

    friend bool operator==(const Wanted_features&, const Wanted_features&) = default;
};

} // namespace vmm::cpu

// SPDX-License-Identifier: Apache-2.0
// "Did you mean": the known word closest to a misspelt one, by edit distance with swapped neighbours counted
// once.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace vmm::config
{

// Nothing when no candidate is close enough to be what was meant (a third of the word, at least one and at
// most three edits).
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view word,
                                                      std::span<const std::string_view> candidates);

[[nodiscard]] unsigned edit_distance(std::string_view a, std::string_view b);

} // namespace vmm::config

// SPDX-License-Identifier: Apache-2.0
//
// Small pieces of text analysis for the command line: splitting, numbers, sizes, likeness. Pure.
#pragma once

#include "base/types.hpp"

#include <optional>
#include <string_view>

namespace vmm
{

// Takes what is before the first `separator` off the front of `text`; all of it when there is none.
std::string_view take_until(std::string_view& text, char separator);

// Yes or no, in the words that Xen has for them; nothing at all is yes.
std::optional<bool> parse_truth(std::string_view text);
// Decimal, or hexadecimal after 0x; the whole text must be one number.
std::optional<u64> parse_number(std::string_view text);
// A number of bytes with a suffix B, K, M, G or T; KiB without one.
std::optional<u64> parse_size(std::string_view text);

// How many single-character changes turn one into the other. Texts longer than 31 count as far away.
unsigned edit_distance(std::string_view a, std::string_view b);

} // namespace vmm

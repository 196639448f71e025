// SPDX-License-Identifier: Apache-2.0
//
// Numbers as they stand in nodes of the store: decimal digits. What the other end wrote may be anything.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

namespace vmm::protocol
{

// `absent` for what is no number, has something behind it, or does not fit.
inline std::uint64_t number_from(std::string_view text, std::uint64_t absent)
{
    std::uint64_t value   = 0;
    const char* const end = text.data() + text.size();
    const auto [last, ec] = std::from_chars(text.data(), end, value);
    return ec == std::errc{} && last == end ? value : absent;
}

} // namespace vmm::protocol

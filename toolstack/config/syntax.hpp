// SPDX-License-Identifier: Apache-2.0
// The grammar of a configuration file, without knowledge of any key: a list of `key = value` and `key +=
// value`, where a value is a string, a number or a list of values. One setting per line or separated by `;`;
// a list may span lines and end with a comma. What the keys mean is interpret.hpp.
#pragma once

#include "toolstack/config/source.hpp"

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vmm::config
{

struct Number {
    std::uint64_t value = 0;
    std::string spelling;
};

struct Value {
    Source_ptr source; // of its own: += may have put it behind values from elsewhere
    Position at;
    std::variant<std::string, Number, std::vector<Value>> what;

    [[nodiscard]] std::string place() const { return source->place(at); }
};

struct Setting {
    enum class Kind { assign, append };

    std::string key;
    Position key_at;
    Kind kind = Kind::assign;
    Value value;

    [[nodiscard]] std::string key_place() const { return value.source->place(key_at); }
};

inline constexpr unsigned kMax_list_depth = 8;

using Settings = std::vector<Setting>;

// In a Source of kind argument, a value that begins with a letter, '/' or '.' runs to the end and needs no
// quotes, since the shell has taken them away: `kernel=/boot/vmlinuz`.
[[nodiscard]] std::expected<Settings, Diagnostic> parse_settings(Source source, std::string_view text);

} // namespace vmm::config

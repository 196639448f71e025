// SPDX-License-Identifier: Apache-2.0
//
// Plain values out of JSON: the target is written only when the value is of the kind asked for. The error
// says what was expected; the caller puts the field's name before it.
#pragma once

#include <expected>
#include <string>

#include <nlohmann/json.hpp>

namespace vmm::config
{

using Read = std::expected<void, std::string>;

inline Read read_text(const nlohmann::ordered_json& value, std::string& target)
{
    if (!value.is_string())
        return std::unexpected("expected a string");
    target = value.get<std::string>();
    return {};
}

inline Read read_flag(const nlohmann::ordered_json& value, bool& target)
{
    if (!value.is_boolean())
        return std::unexpected("expected true or false");
    target = value.get<bool>();
    return {};
}

} // namespace vmm::config

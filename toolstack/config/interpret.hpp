// SPDX-License-Identifier: Apache-2.0
// From settings to a Domain_config: which keys there are, what their values may be, and what they mean
// together, as users of xl know them. Every error names the place in the source. Reads no files except
// through load().
#pragma once

#include "toolstack/config/domain_config.hpp"
#include "toolstack/config/syntax.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vmm::config
{

struct Interpretation {
    Domain_config config;
    std::vector<Diagnostic> warnings; // what was ignored or looks like a slip; the config is good
};

// Later settings of a key win over earlier ones; within one source that is worth a warning. `+=` adds to a
// string or list. Relative paths are taken from `directory`, which is absolute. `origin` is named when
// something is missing altogether.
[[nodiscard]] std::expected<Interpretation, Diagnostic>
interpret(const Settings& settings, std::string_view origin, std::string_view directory);

// What stands in a file, whatever its keys mean.
[[nodiscard]] std::expected<Settings, Diagnostic> load_settings(const std::string& path);

// The file if there is one, then each override ("key=value", also several with ';') as if written below it.
[[nodiscard]] std::expected<Interpretation, Diagnostic> load(const std::optional<std::string>& path,
                                                             std::span<const std::string> overrides);

// The keys that describe a domain here, for tests and for completion.
[[nodiscard]] std::vector<std::string_view> known_keys();

} // namespace vmm::config

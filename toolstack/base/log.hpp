// SPDX-License-Identifier: Apache-2.0
#pragma once
// The toolstack's log: one line per call to stderr and, when asked, to a file as well. One process, one
// thread, one log; it does not rotate (logrotate may move the file away and the owner calls reopen()).
// Messages carry no newline; any control character in them, which may come from a guest, is shown as '?', so
// a guest cannot forge lines.

#include "toolstack/base/error.hpp"

#include <string>
#include <string_view>

namespace vmm::log
{

enum class Level { debug, info, warning, error };

void set_level(Level least);
[[nodiscard]] Level level();
[[nodiscard]] Result<Level> parse_level(std::string_view name);

// Keeps stderr when `also_stderr`; the file is appended to and created with mode 0640.
[[nodiscard]] Result<void> open_file(const std::string& path, bool also_stderr);
[[nodiscard]] Result<void> reopen();

void write(Level at, std::string_view message);

inline void debug(std::string_view message) { write(Level::debug, message); }
inline void info(std::string_view message) { write(Level::info, message); }
inline void warning(std::string_view message) { write(Level::warning, message); }
inline void error(std::string_view message) { write(Level::error, message); }

} // namespace vmm::log

// SPDX-License-Identifier: Apache-2.0
//
// The hypervisor's log: one line a call, with time and level, to the console sinks and to a ring that
// `xm dmesg` and the panic screen read. Lines that a guest provokes go through log::guest, which has its
// own threshold (guest_loglvl=) and is rate-limited, so that a guest can neither flood nor hide the log.
#pragma once

#include "base/format.hpp"

namespace vmm::log
{

enum class Level : u8 { error, warning, info, debug };

// Thresholds: a line is shown when its level is at most this. Set once from the command line.
void set_threshold(Level hypervisor, Level guest);
[[nodiscard]] bool enabled(Level level);

void write(Level level, std::string_view format, std::span<const Format_arg> args);
void write_guest(Level level, std::string_view format, std::span<const Format_arg> args);

namespace detail
{
template <class Function, class... Args>
void pass(Function function, Level level, std::string_view format, const Args&... args)
{
    if constexpr (sizeof...(Args) == 0) {
        function(level, format, std::span<const Format_arg>());
    } else {
        const Format_arg list[] = {Format_arg(args)...};
        function(level, format, std::span<const Format_arg>(list));
    }
}
} // namespace detail

template <class... Args>
void error(std::string_view format, const Args&... args)
{
    detail::pass(write, Level::error, format, args...);
}
template <class... Args>
void warning(std::string_view format, const Args&... args)
{
    detail::pass(write, Level::warning, format, args...);
}
template <class... Args>
void info(std::string_view format, const Args&... args)
{
    detail::pass(write, Level::info, format, args...);
}
template <class... Args>
void debug(std::string_view format, const Args&... args)
{
    detail::pass(write, Level::debug, format, args...);
}
// What a guest provoked.
template <class... Args>
void guest(Level level, std::string_view format, const Args&... args)
{
    detail::pass(write_guest, level, format, args...);
}

} // namespace vmm::log

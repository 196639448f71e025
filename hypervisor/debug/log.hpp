// SPDX-License-Identifier: Apache-2.0
//
// The hypervisor's log: one line a call, with time and level, to the console sinks and to a ring that
// `xm dmesg` and the panic screen read. Lines that a guest provokes go through log::guest, which has its
// own threshold (guest_loglvl=) and is rate-limited, so that a guest can neither flood nor hide the log.
#pragma once

#include "base/format.hpp"
#include "debug/log_ring.hpp"
#include "domain/time.hpp"

namespace vmm
{
class Console_sink;
}

namespace vmm::log
{

// `none` is a threshold only; no line has it.
enum class Level : u8 { none, error, warning, info, debug };

// A line is always shown when its level is at most `always`, and as long as there are not too many of them
// when it is at most `limited`. [xen-command-line: loglvl=a/b]
struct Threshold {
    Level always;
    Level limited;
};

// Set once from the command line.
void set_thresholds(Threshold hypervisor, Threshold guest);
// From then on lines carry the time. Before that they carry none.
void set_clock(const Clock& clock);

void write(Level level, std::string_view format, std::span<const Format_arg> args);
void write_guest(Level level, std::string_view format, std::span<const Format_arg> args);

// What the log kept. Reading as XEN_SYSCTL_readconsole does: from `index` when `incremental` and that is
// still there, else from the oldest; `index` moves on; `clear` then forgets everything kept.
std::size_t read_ring(bool incremental, u32& index, std::span<char> out);
void clear_ring();
// The last lines of the ring, of at most that many characters, to one sink.
void replay(Console_sink& sink, std::size_t characters);
// Called after a line went into the ring, to raise VIRQ_CON_RING.
void set_ring_hook(void (*hook)());

// For panic: the owner of the lock may be the code that failed.
void break_lock();

template <class... Args>
void error(std::string_view format, const Args&... args)
{
    write(Level::error, format, format_args(args...));
}
template <class... Args>
void warning(std::string_view format, const Args&... args)
{
    write(Level::warning, format, format_args(args...));
}
template <class... Args>
void info(std::string_view format, const Args&... args)
{
    write(Level::info, format, format_args(args...));
}
template <class... Args>
void debug(std::string_view format, const Args&... args)
{
    write(Level::debug, format, format_args(args...));
}
// What a guest provoked.
template <class... Args>
void guest(Level level, std::string_view format, const Args&... args)
{
    write_guest(level, format, format_args(args...));
}

} // namespace vmm::log

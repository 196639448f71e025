// SPDX-License-Identifier: Apache-2.0
#include "debug/log.hpp"

#include "base/spinlock.hpp"
#include "debug/rate_limit.hpp"
#include "platform/console.hpp"

#include <algorithm>
#include <ranges>

namespace vmm::log
{
namespace
{

constexpr std::size_t kMaxLine = 320;
constexpr u32 kGuestBurst      = 50;
constexpr u64 kGuestRefill     = 100 * kMillisecond;

// One voice: what it shows at once, what it shows within limits.
struct Voice {
    Threshold threshold;
    Rate_limit limit{kGuestBurst, kGuestRefill};
};

Spinlock lock{Lock_rank::log};
Log_ring ring;
Voice hypervisor{{Level::info, Level::info}};
Voice guests{{Level::none, Level::warning}};
const Clock* clock;
void (*ring_hook)();

Time now() { return clock ? clock->now() : Time(); }

constexpr std::string_view kLevelWords[] = {"", "error: ", "warning: ", "", "debug: "};

// "(PLINTH) [   12.345678] warning: " into `line`; returns its length.
std::size_t put_prefix(std::span<char> line, Level level)
{
    const std::string_view word = kLevelWords[static_cast<u8>(level)];
    if (!clock)
        return format_to(line, "(PLINTH) {}", word).size();
    u64 us = now().value() / kMicrosecond;
    char fraction[6];
    for (char& digit : std::views::reverse(fraction)) {
        digit = static_cast<char>('0' + us % 10);
        us /= 10;
    }
    return format_to(line, "(PLINTH) [{}.{}] {}", us, std::string_view(fraction, 6), word).size();
}

void emit(Level level, std::string_view format, std::span<const Format_arg> args)
{
    char line[kMaxLine];
    std::size_t used = put_prefix(line, level);
    used += format_to(std::span<char>(line).subspan(used, kMaxLine - used - 1), format, args).size();
    line[used++] = '\n';
    const std::string_view text(line, used);
    ring.append(text);
    console_write(text);
}

void write_as(Voice& voice, Level level, std::string_view format, std::span<const Format_arg> args)
{
    if (level > voice.threshold.limited && level > voice.threshold.always)
        return;
    {
        Lock_guard guard(lock);
        if (level > voice.threshold.always) {
            if (!voice.limit.allow(now()))
                return;
            if (const u64 lost = voice.limit.take_suppressed()) {
                emit(Level::warning, "{} lines were held back: too many at once", format_args(lost));
            }
        }
        emit(level, format, args);
    }
    if (ring_hook)
        ring_hook();
}

} // namespace

void set_thresholds(Threshold own, Threshold guest)
{
    hypervisor.threshold = own;
    guests.threshold     = guest;
}

void set_clock(const Clock& c) { clock = &c; }

void write(Level level, std::string_view format, std::span<const Format_arg> args)
{
    write_as(hypervisor, level, format, args);
}

void write_guest(Level level, std::string_view format, std::span<const Format_arg> args)
{
    write_as(guests, level, format, args);
}

std::size_t read_ring(bool incremental, u32& index, std::span<char> out)
{
    Lock_guard guard(lock);
    std::size_t copied = 0;
    index              = ring.read(incremental ? index : ring.oldest(), out, copied);
    return copied;
}

void clear_ring()
{
    Lock_guard guard(lock);
    ring.clear();
}

void replay(Console_sink& sink, std::size_t characters)
{
    const u32 kept = ring.next() - ring.oldest();
    u32 at         = ring.next() - static_cast<u32>(std::min<std::size_t>(characters, kept));
    bool in_line   = at == ring.oldest();
    char c         = 0;
    for (std::size_t copied = 1; copied > 0;) {
        at = ring.read(at, std::span<char>(&c, 1), copied);
        if (copied > 0 && in_line)
            sink.write({&c, 1});
        in_line = in_line || c == '\n'; // a line that was cut in two is left out
    }
}

void set_ring_hook(void (*hook)()) { ring_hook = hook; }

void break_lock() { lock.break_open(); }

} // namespace vmm::log

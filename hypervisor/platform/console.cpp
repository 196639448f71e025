// SPDX-License-Identifier: Apache-2.0
#include "platform/console.hpp"

#include "base/spinlock.hpp"

#include <algorithm>
#include <array>

namespace vmm
{
namespace
{

constexpr std::size_t kMaxSinks  = 4;
constexpr std::size_t kInputSize = 1024;

constinit Spinlock lock{Lock_rank::console};
std::array<Console_sink*, kMaxSinks> sinks;
std::size_t sink_count;

// Filled by the receive interrupt and emptied by dom0's hypercall.
std::array<char, kInputSize> input;
std::size_t input_first;
std::size_t input_count;
void (*input_hook)();

} // namespace

void add_console_sink(Console_sink& sink)
{
    const Lock_guard guard(lock);
    if (sink_count < kMaxSinks)
        sinks[sink_count++] = &sink;
}

void remove_console_sink(Console_sink& sink)
{
    const Lock_guard guard(lock);
    const auto end = std::remove(sinks.begin(), sinks.begin() + sink_count, &sink);
    sink_count     = static_cast<std::size_t>(end - sinks.begin());
}

bool has_console_sink() { return sink_count > 0; }

void console_write(std::string_view text)
{
    const Lock_guard guard(lock);
    for (std::size_t i = 0; i < sink_count; ++i)
        sinks[i]->write(text);
}

void console_stop_buffering()
{
    for (std::size_t i = 0; i < sink_count; ++i)
        sinks[i]->stop_buffering();
}

std::size_t console_read(std::span<char> out)
{
    const Lock_guard guard(lock);
    const std::size_t n = std::min(out.size(), input_count);
    for (std::size_t i = 0; i < n; ++i) {
        out[i]      = input[input_first];
        input_first = (input_first + 1) % kInputSize;
    }
    input_count -= n;
    return n;
}

void console_received(char c)
{
    if (input_count < kInputSize)
        input[(input_first + input_count++) % kInputSize] = c;
}

void serve_console_sink(Console_sink& sink)
{
    bool arrived = false;
    {
        const Lock_guard guard(lock);
        const std::size_t before = input_count;
        sink.serve();
        arrived = input_count != before;
    }
    if (arrived && input_hook)
        input_hook();
}

void break_console_lock() { lock.break_open(); }

void set_console_input_hook(void (*hook)()) { input_hook = hook; }

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
//
// Where text goes: to every sink (serial line, screen) that console= chose. Both the hypervisor's log and
// what dom0 writes with CONSOLEIO_write pass through here; a sink turns "\n" into what its device needs.
// Sinks live for ever, and are called under the console's lock, which this file keeps.
#pragma once

#include "base/types.hpp"

#include <span>
#include <string_view>

namespace vmm
{

class Console_sink
{
  public:
    virtual void write(std::string_view text) = 0;
    // What was written must be out before this returns, and from then on before write() returns.
    virtual void stop_buffering() {}
    // Its device has interrupted.
    virtual void serve() {}

  protected:
    constexpr Console_sink() = default;
    ~Console_sink()          = default;
};

void add_console_sink(Console_sink& sink);
void remove_console_sink(Console_sink& sink);
[[nodiscard]] bool has_console_sink();

// Raw text to all sinks.
void console_write(std::string_view text);
// The machine is about to end: nothing may stay in a buffer.
void console_stop_buffering();

// What was typed on the serial line and nobody has read yet. Returns how much was copied.
std::size_t console_read(std::span<char> out);
// Called by a receiver, from serve(), for each character; one that does not fit is lost, as on any serial
// line.
void console_received(char c);
// The device of a sink has interrupted; where it brought input the hook is called, with no lock held.
void serve_console_sink(Console_sink& sink);
// To raise VIRQ_CONSOLE.
void set_console_input_hook(void (*hook)());
// In a panic, after all other CPUs were stopped.
void break_console_lock();

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
//
// A 16550 serial port behind I/O ports. At first output is polled, with a bound on the wait, so that a port
// without a partner cannot hang the machine. Once start_buffering() was called, what the chip does not take
// at once waits in a buffer that its interrupt empties, so that a slow line does not hold up guests; a full
// buffer is waited for. Input is taken from the FIFO when the interrupt comes. Callers hold the console.
// [PC16550D data sheet, section 8]
#pragma once

#include "platform/console.hpp"

#include <array>

namespace vmm
{

struct Uart_settings {
    u16 port     = 0x3f8;
    u32 baud     = 115200; // 0: leave the rate the firmware has set
    u8 data_bits = 8;
    char parity  = 'n'; // n, o, e, m, s
    u8 stop_bits = 1;
};

class Uart final : public Console_sink
{
  public:
    constexpr Uart() = default;

    // False when there is no UART at that port.
    bool init(const Uart_settings& settings);
    void write(std::string_view text) override;
    void stop_buffering() override;
    void serve() override;

    // Input goes to console_received(), through serve().
    void enable_receive_interrupt();
    // Interrupts are taken from now on, if they come: it buffers from the first one on.
    void start_buffering();

  private:
    static constexpr std::size_t kBufferSize = 16 * 1024;

    void put(u8 c);
    void send_polled(u8 c);
    void send_buffered();
    void set_interrupts(u8 wanted);
    u8 take_first();

    u16 port_          = 0;
    bool present_      = false;
    bool may_buffer_   = false;
    bool buffering_    = false;
    u8 interrupts_     = 0; // what the chip's interrupt enable register holds
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    std::array<u8, kBufferSize> buffer_{};
};

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
//
// A 16550 serial port behind I/O ports. Output is polled, with a bound on the wait, so that a port without
// a partner cannot hang the machine; input is taken from the FIFO when the receive interrupt comes.
// [PC16550D data sheet, section 8]
#pragma once

#include "platform/console.hpp"

namespace vmm
{

struct Uart_settings {
    u16 port      = 0x3f8;
    u32 baud      = 115200; // 0: leave the rate the firmware has set
    u8 data_bits  = 8;
    char parity   = 'n'; // n, o, e, m, s
    u8 stop_bits  = 1;
};

class Uart final : public Console_sink
{
  public:
    constexpr Uart() = default;

    // False when there is no UART at that port.
    bool init(const Uart_settings& settings);
    void write(std::string_view text) override;

    // Receive interrupts go to console_received() through on_interrupt().
    void enable_receive_interrupt();
    void on_interrupt();

  private:
    void put(u8 c);

    u16 port_     = 0;
    bool present_ = false;
};

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "platform/uart.hpp"

#include "arch/x86/cpu/port_io.hpp"
#include "base/bits.hpp"

namespace vmm
{
namespace
{

// Register offsets; the first two are the divisor latch while DLAB is set.
enum Register : u16 {
    data             = 0,
    interrupt_enable = 1,
    interrupt_id     = 2,
    fifo_control     = 2,
    line_control     = 3,
    modem_control    = 4,
    line_status      = 5,
    modem_status     = 6,
    scratch          = 7
};

constexpr u8 kDlab              = 0x80;
constexpr u8 kFifoOnAndClear    = 0x07;
constexpr u8 kDtrRtsOut2        = 0x0b; // OUT2 lets the interrupt through to the bus
constexpr u8 kDataReady         = 0x01;
constexpr u8 kTransmitEmpty     = 0x20;
constexpr u8 kReceiveInterrupt  = 0x01;
constexpr u8 kTransmitInterrupt = 0x02;
constexpr u8 kNothingPending    = 0x01; // in the interrupt identification
constexpr u32 kClock            = 115200;
constexpr unsigned kFifoSize    = 16;
constexpr unsigned kPatience    = 100'000; // polls per character; a character takes 87 us at 115200 baud
constexpr unsigned kMaxBurst    = 64;      // rounds per interrupt, so that a stuck status bit ends

u8 line_control_of(const Uart_settings& s)
{
    u8 lcr = static_cast<u8>((s.data_bits - 5) & 3);
    if (s.stop_bits == 2)
        lcr |= 0x04;
    switch (s.parity) {
    case 'o': lcr |= 0x08; break;
    case 'e': lcr |= 0x18; break;
    case 'm': lcr |= 0x28; break;
    case 's': lcr |= 0x38; break;
    default: break;
    }
    return lcr;
}

u16 at(u16 port, Register r) { return static_cast<u16>(port + r); }

} // namespace

bool Uart::init(const Uart_settings& settings)
{
    port_ = settings.port;
    out8(at(port_, scratch), 0x5a);
    present_ = in8(at(port_, scratch)) == 0x5a;
    if (!present_)
        return false;

    out8(at(port_, interrupt_enable), 0);
    interrupts_  = 0;
    const u8 lcr = line_control_of(settings);
    if (settings.baud != 0) {
        const u32 divisor = kClock / settings.baud;
        out8(at(port_, line_control), lcr | kDlab);
        out8(at(port_, data), static_cast<u8>(divisor));
        out8(at(port_, interrupt_enable), static_cast<u8>(divisor >> 8));
    }
    out8(at(port_, line_control), lcr);
    out8(at(port_, fifo_control), kFifoOnAndClear);
    out8(at(port_, modem_control), kDtrRtsOut2);
    return true;
}

void Uart::send_polled(u8 c)
{
    for (unsigned i = 0; i < kPatience; ++i) {
        if (in8(at(port_, line_status)) & kTransmitEmpty)
            break;
    }
    out8(at(port_, data), c);
}

u8 Uart::take_first()
{
    const u8 c = buffer_[first_];
    first_     = (first_ + 1) % kBufferSize;
    --count_;
    return c;
}

void Uart::put(u8 c)
{
    if (!buffering_)
        return send_polled(c);
    if (count_ == kBufferSize)
        send_polled(take_first());
    buffer_[(first_ + count_++) % kBufferSize] = c;
}

// As much as the chip takes without waiting; for the rest it interrupts when it is empty.
void Uart::send_buffered()
{
    while (count_ > 0 && (in8(at(port_, line_status)) & kTransmitEmpty)) {
        for (unsigned i = 0; i < kFifoSize && count_ > 0; ++i)
            out8(at(port_, data), take_first());
    }
    set_interrupts(
        static_cast<u8>((interrupts_ & ~kTransmitInterrupt) | (count_ > 0 ? kTransmitInterrupt : 0)));
}

void Uart::set_interrupts(u8 wanted)
{
    if (wanted != interrupts_)
        out8(at(port_, interrupt_enable), wanted);
    interrupts_ = wanted;
}

void Uart::write(std::string_view text)
{
    if (!present_)
        return;
    for (char c : text) {
        if (c == '\n')
            put('\r');
        put(static_cast<u8>(c));
    }
    if (buffering_)
        send_buffered();
}

void Uart::start_buffering()
{
    if (!present_)
        return;
    may_buffer_ = true;
    set_interrupts(interrupts_ | kTransmitInterrupt);
}

void Uart::stop_buffering()
{
    may_buffer_ = buffering_ = false;
    while (count_ > 0)
        send_polled(take_first());
}

void Uart::enable_receive_interrupt()
{
    if (present_)
        set_interrupts(interrupts_ | kReceiveInterrupt);
}

// The line is edge-triggered: it must have been quiet once before this ends, or no interrupt follows.
void Uart::serve()
{
    for (unsigned round = 0; round < kMaxBurst; ++round) {
        if (in8(at(port_, interrupt_id)) & kNothingPending)
            return;
        buffering_ = may_buffer_;
        in8(at(port_, modem_status));
        if (in8(at(port_, line_status)) & kDataReady)
            console_received(static_cast<char>(in8(at(port_, data))));
        if (buffering_)
            send_buffered();
    }
    out8(at(port_, interrupt_enable), 0);
    out8(at(port_, interrupt_enable), interrupts_);
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "platform/uart.hpp"

#include "ports.hpp"

#include <catch2/catch.hpp>

#include <deque>
#include <string>

using namespace vmm;

namespace
{

// A 16550 at 0x2f8, as far as the driver looks at it.
struct Fake_uart {
    u8 registers[8] = {};
    u16 divisor     = 0;
    std::string sent;
    std::deque<u8> received;
    bool stuck       = false; // never ready to send
    bool slow        = false; // 16 characters fill it until drain()
    bool empties     = false; // slow, but not for ever
    bool overrun     = false;
    unsigned in_fifo = 0;
    unsigned polls   = 0;
    unsigned quiet   = 0; // how often it was told not to interrupt at all

    Fake_uart()
    {
        test::ports.in  = [this](u16 port) { return in(port); };
        test::ports.out = [this](u16 port, u8 value) { out(port, value); };
    }
    bool ready() const { return !stuck && !(slow && in_fifo > 0); }
    void drain() { in_fifo = 0; }
    bool dlab() const { return registers[3] & 0x80; }
    u8 in(u16 port)
    {
        if (port < 0x2f8 || port > 0x2ff)
            return 0xff;
        const unsigned r = port - 0x2f8;
        if (r == 2) {
            if (!received.empty() && (registers[1] & 1))
                return 4;
            return (registers[1] & 2) && ready() ? 2 : 1;
        }
        if (r == 5) {
            if (++polls % 8 == 0 && empties)
                drain();
            return static_cast<u8>((ready() ? 0x20 : 0) | (received.empty() ? 0 : 1));
        }
        if (r == 0 && !dlab()) {
            const u8 c = received.front();
            received.pop_front();
            return c;
        }
        return registers[r];
    }
    void out(u16 port, u8 value)
    {
        if (port < 0x2f8 || port > 0x2ff)
            return;
        const unsigned r = port - 0x2f8;
        if (r == 0 && dlab()) {
            divisor = static_cast<u16>((divisor & 0xff00) | value);
        } else if (r == 0) {
            sent.push_back(static_cast<char>(value));
            overrun = overrun || (slow && ++in_fifo > 16);
        } else if (r == 1 && dlab())
            divisor = static_cast<u16>((divisor & 0xff) | value << 8);
        else
            registers[r] = value;
        quiet += r == 1 && !dlab() && value == 0;
    }
};

} // namespace

TEST_CASE("uart: settings reach the chip")
{
    Fake_uart chip;
    static Uart uart;
    uart.stop_buffering();
    REQUIRE(uart.init({0x2f8, 9600, 7, 'e', 2}));
    CHECK(chip.divisor == 12);
    CHECK(chip.registers[3] == 0x1e); // 7 bits, 2 stop bits, even parity
    CHECK(chip.registers[1] == 0);    // no interrupts yet
    uart.enable_receive_interrupt();
    CHECK(chip.registers[1] == 1);
    CHECK((chip.registers[4] & 8) == 8);
}

TEST_CASE("uart: a baud rate of 0 leaves the firmware's")
{
    Fake_uart chip;
    chip.divisor = 6;
    static Uart uart;
    uart.stop_buffering();
    REQUIRE(uart.init({0x2f8, 0, 8, 'n', 1}));
    CHECK(chip.divisor == 6);
}

TEST_CASE("uart: none there")
{
    Fake_uart chip;
    static Uart uart;
    uart.stop_buffering();
    CHECK_FALSE(uart.init({0x3f8, 115200, 8, 'n', 1}));
    uart.write("lost");
    CHECK(chip.sent.empty());
}

TEST_CASE("uart: lines end with CR LF")
{
    Fake_uart chip;
    static Uart uart;
    uart.stop_buffering();
    REQUIRE(uart.init({0x2f8, 115200, 8, 'n', 1}));
    uart.write("a\nb");
    CHECK(chip.sent == "a\r\nb");
}

TEST_CASE("uart: a line that never gets ready does not hang the machine")
{
    Fake_uart chip;
    static Uart uart;
    uart.stop_buffering();
    REQUIRE(uart.init({0x2f8, 115200, 8, 'n', 1}));
    chip.stuck = true;
    uart.write("xy");
    CHECK(chip.polls < 1'000'000);
}

TEST_CASE("uart: an interrupt takes what came, but not for ever")
{
    Fake_uart chip;
    static Uart uart;
    uart.stop_buffering();
    REQUIRE(uart.init({0x2f8, 115200, 8, 'n', 1}));
    uart.enable_receive_interrupt();
    for (char c : std::string("hello"))
        chip.received.push_back(static_cast<u8>(c));
    uart.serve();
    char out[100];
    REQUIRE(console_read(out) == 5);
    CHECK(std::string(out, 5) == "hello");
    chip.received.assign(1000, 'z');
    chip.quiet = 0;
    uart.serve();
    CHECK(chip.received.size() > 900);
    CHECK(chip.quiet == 1); // or what is left would raise no edge
    CHECK((chip.registers[1] & 1));
}

TEST_CASE("uart: where no interrupt comes, nothing waits for one")
{
    Fake_uart chip;
    static Uart uart;
    REQUIRE(uart.init({0x2f8, 115200, 8, 'n', 1}));
    uart.start_buffering();
    chip.slow = chip.empties = true;
    const std::string text(100, 'q');
    uart.write(text);
    CHECK(chip.sent == text);
}

TEST_CASE("uart: buffered, nothing waits for a slow line, and all of it arrives in order")
{
    Fake_uart chip;
    static Uart uart;
    uart.stop_buffering();
    REQUIRE(uart.init({0x2f8, 115200, 8, 'n', 1}));
    uart.start_buffering();
    uart.serve();
    chip.slow = true;
    std::string text;
    for (int i = 0; i < 500; ++i)
        text += std::to_string(i) + " ";
    uart.write(text);
    CHECK(chip.sent.size() == 16);
    CHECK(chip.registers[1] == 2); // it will say when it is empty
    while (chip.registers[1] & 2) {
        chip.drain();
        uart.serve();
    }
    CHECK(chip.sent == text);
    CHECK_FALSE(chip.overrun);
    CHECK(chip.polls < 500);
}

TEST_CASE("uart: a full buffer is waited for, and what is left goes out before the end")
{
    Fake_uart chip;
    static Uart uart;
    uart.stop_buffering();
    REQUIRE(uart.init({0x2f8, 115200, 8, 'n', 1}));
    uart.start_buffering();
    uart.serve();
    chip.stuck = true;
    const std::string text(16 * 1024 + 3, 'q');
    uart.write(text);
    CHECK(chip.sent.size() == 3);
    chip.stuck = false;
    uart.stop_buffering();
    CHECK(chip.sent == text);
    uart.write("now");
    CHECK(chip.sent.size() == text.size() + 3);
}

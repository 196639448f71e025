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
    bool stuck = false; // never ready to send
    unsigned polls = 0;

    Fake_uart()
    {
        test::ports.in  = [this](u16 port) { return in(port); };
        test::ports.out = [this](u16 port, u8 value) { out(port, value); };
    }
    bool dlab() const { return registers[3] & 0x80; }
    u8 in(u16 port)
    {
        if (port < 0x2f8 || port > 0x2ff)
            return 0xff;
        const unsigned r = port - 0x2f8;
        if (r == 5) {
            ++polls;
            return static_cast<u8>((stuck ? 0 : 0x20) | (received.empty() ? 0 : 1));
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
        if (r == 0)
            dlab() ? void(divisor = static_cast<u16>((divisor & 0xff00) | value)) : sent.push_back(static_cast<char>(value));
        else if (r == 1 && dlab())
            divisor = static_cast<u16>((divisor & 0xff) | value << 8);
        else
            registers[r] = value;
    }
};

} // namespace

TEST_CASE("uart: settings reach the chip")
{
    Fake_uart chip;
    Uart uart;
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
    Uart uart;
    REQUIRE(uart.init({0x2f8, 0, 8, 'n', 1}));
    CHECK(chip.divisor == 6);
}

TEST_CASE("uart: none there")
{
    Fake_uart chip;
    Uart uart;
    CHECK_FALSE(uart.init({0x3f8, 115200, 8, 'n', 1}));
    uart.write("lost");
    CHECK(chip.sent.empty());
}

TEST_CASE("uart: lines end with CR LF")
{
    Fake_uart chip;
    Uart uart;
    REQUIRE(uart.init({0x2f8, 115200, 8, 'n', 1}));
    uart.write("a\nb");
    CHECK(chip.sent == "a\r\nb");
}

TEST_CASE("uart: a line that never gets ready does not hang the machine")
{
    Fake_uart chip;
    Uart uart;
    REQUIRE(uart.init({0x2f8, 115200, 8, 'n', 1}));
    chip.stuck = true;
    uart.write("xy");
    CHECK(chip.polls < 1'000'000);
}

TEST_CASE("uart: an interrupt takes what came, but not for ever")
{
    Fake_uart chip;
    Uart uart;
    REQUIRE(uart.init({0x2f8, 115200, 8, 'n', 1}));
    for (char c : std::string("hello"))
        chip.received.push_back(static_cast<u8>(c));
    uart.on_interrupt();
    char out[100];
    REQUIRE(console_read(out) == 5);
    CHECK(std::string(out, 5) == "hello");
    chip.received.assign(1000, 'z');
    uart.on_interrupt();
    CHECK(chip.received.size() > 900);
}

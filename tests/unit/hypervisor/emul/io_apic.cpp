// SPDX-License-Identifier: Apache-2.0
#include "emul/io_apic.hpp"

#include "emul/machine.hpp"

#include <catch2/catch.hpp>

using namespace vmm;

namespace
{

constexpr u32 kMasked = 1u << 16, kLevel = 1u << 15, kLow = 1u << 13, kRemoteIrr = 1u << 14,
              kLogical = 1u << 11;

struct Guest {
    fakes::Machine machine;
    host_interrupts::Io_apic_info info{.address = 0xfec00000, .first_gsi = 0, .pins = 24, .id = 2};
    Io_apic chip{machine.domain, info};

    u32 read(u8 index)
    {
        chip.write(Gpa(0xfec00000), 4, index);
        return static_cast<u32>(chip.read(Gpa(0xfec00010), 4));
    }
    void write(u8 index, u32 value)
    {
        chip.write(Gpa(0xfec00000), 4, index);
        chip.write(Gpa(0xfec00010), 4, value);
    }
    void set_entry(unsigned pin, u32 low, u8 destination = 0)
    {
        write(static_cast<u8>(0x11 + 2 * pin), static_cast<u32>(destination) << 24);
        write(static_cast<u8>(0x10 + 2 * pin), low);
    }
};

Interrupt_message fixed(u32 destination, u8 vector, bool level)
{
    return {destination, false, Delivery_mode::fixed, vector, level};
}

} // namespace

TEST_CASE("an IO-APIC after reset")
{
    Guest guest;
    CHECK(guest.read(0) == 2u << 24);
    CHECK(guest.read(1) == (23u << 16 | 0x20));
    CHECK(guest.chip.page() == Gfn(0xfec00));
    for (unsigned pin = 0; pin < 24; ++pin) {
        CHECK(guest.read(static_cast<u8>(0x10 + 2 * pin)) == kMasked);
        CHECK(guest.read(static_cast<u8>(0x11 + 2 * pin)) == 0);
    }
    CHECK(guest.read(0x40) == 0); // beyond the last pin
    guest.write(0x40, 0xffffffff);
    CHECK(guest.machine.pins.empty());
}

TEST_CASE("an edge-triggered pin")
{
    Guest guest;
    guest.set_entry(2, kMasked | 0x30, 4);
    CHECK(guest.machine.pins.empty());
    guest.write(0x14, 0x30);
    REQUIRE(guest.machine.pins.contains(2));
    CHECK_FALSE(guest.machine.pins[2].level);
    CHECK_FALSE(guest.machine.pins[2].active_low);
    CHECK(guest.machine.raise(2));
    CHECK(guest.machine.raise(2)); // stays open
    CHECK(guest.machine.take() == std::vector{fixed(4, 0x30, false), fixed(4, 0x30, false)});

    guest.write(0x14, kMasked | 0x30);
    CHECK_FALSE(guest.machine.raise(2));
    guest.write(0x14, 0x41);
    CHECK(guest.machine.raise(2));
    CHECK(guest.machine.take() == std::vector{fixed(4, 0x41, false)});
    CHECK(guest.machine.pins[2].binds == 1);
}

TEST_CASE("a level-triggered pin is closed until the guest's EOI")
{
    Guest guest;
    guest.set_entry(16, kLevel | kLow | 0x51, 2);
    CHECK(guest.machine.pins[16].level);
    CHECK(guest.machine.pins[16].active_low);
    CHECK(guest.machine.raise(16));
    CHECK(guest.machine.take() == std::vector{fixed(2, 0x51, true)});
    CHECK((guest.read(0x30) & kRemoteIrr) != 0);
    CHECK_FALSE(guest.machine.raise(16));
    guest.chip.end_of_interrupt(0x52);
    CHECK_FALSE(guest.machine.pins[16].open);
    guest.chip.end_of_interrupt(0x51);
    CHECK((guest.read(0x30) & kRemoteIrr) == 0);
    CHECK(guest.machine.raise(16));

    SECTION("masked meanwhile, it stays closed after the EOI")
    {
        guest.write(0x30, kMasked | kLevel | kLow | 0x51);
        guest.chip.end_of_interrupt(0x51);
        CHECK_FALSE(guest.machine.pins[16].open);
        guest.write(0x30, kLevel | kLow | 0x51);
        CHECK(guest.machine.pins[16].open);
    }
    SECTION("unmasking does not end it")
    {
        guest.write(0x30, kMasked | kLevel | kLow | 0x51);
        guest.write(0x30, kLevel | kLow | 0x51);
        CHECK_FALSE(guest.machine.pins[16].open);
    }
    SECTION("the EOI register ends it")
    {
        guest.chip.write(Gpa(0xfec00040), 4, 0x51);
        CHECK(guest.machine.pins[16].open);
    }
    SECTION("making it edge-triggered ends it")
    {
        guest.write(0x30, kMasked | kLow | 0x51);
        guest.write(0x30, kLevel | kLow | 0x51);
        CHECK(guest.machine.pins[16].open);
    }
}

TEST_CASE("two pins with one vector are both ended")
{
    Guest guest;
    guest.set_entry(16, kLevel | 0x51);
    guest.set_entry(17, kLevel | 0x51);
    guest.machine.raise(16);
    guest.machine.raise(17);
    guest.chip.end_of_interrupt(0x51);
    CHECK(guest.machine.pins[16].open);
    CHECK(guest.machine.pins[17].open);
}

TEST_CASE("other wiring is given to the host")
{
    Guest guest;
    guest.set_entry(9, kLevel | 0x51);
    guest.write(0x22, kMasked | kLevel | kLow | 0x51);
    CHECK_FALSE(guest.machine.pins[9].active_low); // not before it matters
    guest.write(0x22, kLevel | kLow | 0x51);
    CHECK(guest.machine.pins[9].active_low);
    CHECK(guest.machine.pins[9].open);
    CHECK(guest.machine.pins[9].binds == 2);
}

TEST_CASE("what was on its way when the guest masked it")
{
    Guest guest;
    guest.set_entry(3, 0x33);
    guest.set_entry(16, kLevel | 0x51);
    const auto edge = guest.machine.pins[3], level = guest.machine.pins[16];
    guest.write(0x16, kMasked | 0x33);
    guest.write(0x30, kMasked | kLevel | 0x51);
    edge.handler(edge.context);   // an edge comes once
    level.handler(level.context); // a level will still be there
    CHECK(guest.machine.take() == std::vector{fixed(0, 0x33, false)});
}

TEST_CASE("logical and broadcast destinations, read-only bits, the hypervisor's own pin")
{
    Guest guest;
    guest.set_entry(5, kLogical | 1u << 8 | 0x61, 0x05);
    guest.machine.raise(5);
    CHECK(guest.machine.take() ==
          std::vector{Interrupt_message{5, true, Delivery_mode::lowest_priority, 0x61, false}});
    guest.set_entry(6, 0x62, 0xff);
    guest.machine.raise(6);
    CHECK(guest.machine.take() == std::vector{fixed(kBroadcast, 0x62, false)});

    guest.write(0x12, 0xffffffff);
    CHECK(guest.read(0x12) == 0x0001afff); // status bits cannot be written, nor what does not exist

    guest.set_entry(4, 0x44);
    CHECK_FALSE(guest.machine.pins[4].open);
    CHECK(guest.machine.log_lines == 1);
}

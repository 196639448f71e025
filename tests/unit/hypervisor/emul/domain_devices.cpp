// SPDX-License-Identifier: Apache-2.0
#include "emul/domain_devices.hpp"

#include "emul/machine.hpp"
#include "emul/mmio.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using fakes::Function_registers;

namespace vmm
{

class Vcpu
{
};

namespace
{
Mmio_device* asked = nullptr; // the device that the last MMIO access went to
}

void emulate_mmio(Vcpu&, const Nested_fault&, Mmio_device& device) { asked = &device; }

} // namespace vmm

namespace
{

constexpr Pci_ecam kWindow{0xb0000000, 0, 0, 0};

struct Guest {
    fakes::Machine machine;
    Unique<Domain_devices> devices;

    Guest()
    {
        machine.io_apics = {{.address = 0xfec00000, .first_gsi = 0, .pins = 24, .id = 0},
                            {.address = 0xfec01000, .first_gsi = 24, .pins = 8, .id = 1}};
        auto gpu         = Function_registers::endpoint(0x1234, 0x1111);
        gpu.add_bar(0, 0xc000000000, 0x400000, true);
        gpu.set(4, 2, 2);
        machine.functions[{0, 0, 8}] = gpu;
        machine.ecam                 = {kWindow};
        auto created = Domain_devices::create(machine.domain, {.ecam = {&kWindow, 1}, .hidden_uart = 0x3f8});
        REQUIRE(created);
        devices = std::move(*created);
    }
    u32 in(u16 port, u8 size = 1)
    {
        u32 value = 0xdeadbeef;
        devices->io({.port = port, .size = size, .in = true, .string = false, .rep = false}, value);
        return value;
    }
    void out(u16 port, u32 value, u8 size = 1)
    {
        devices->io({.port = port, .size = size, .in = false, .string = false, .rep = false}, value);
    }
    bool touch(u64 address)
    {
        asked = nullptr;
        Vcpu vcpu;
        return devices->mmio(
            vcpu,
            {.gpa = Gpa(address), .write = false, .fetch = false, .present = false, .page_walk = false});
    }
};

} // namespace

TEST_CASE("the pages of the devices are trapped, and lead to them")
{
    Guest guest;
    CHECK(guest.machine.trapped.contains(0xfec00));
    CHECK(guest.machine.trapped.contains(0xfec01));
    CHECK(guest.machine.trapped.contains(0xb0000));
    CHECK(guest.machine.trapped.size() == 2 + 256);

    CHECK(guest.touch(0xfec00010));
    Mmio_device* first = asked;
    CHECK(guest.touch(0xfec01010));
    CHECK(asked != first);
    CHECK(asked->read(Gpa(0xfec01010), 4) == 1u << 24); // the id register
    CHECK(guest.touch(0xb0000000));
    CHECK(asked == &guest.devices->pci());
    CHECK_FALSE(guest.touch(0xfed00000));
    CHECK_FALSE(guest.touch(0xc000000000)); // device memory that nobody traps
    CHECK(asked == nullptr);
}

TEST_CASE("an EOI reaches every IO-APIC")
{
    Guest guest;
    for (const u64 page : {0xfec00000ull, 0xfec01000ull}) {
        REQUIRE(guest.touch(page));
        asked->write(Gpa(page), 4, 0x12);
        asked->write(Gpa(page + 0x10), 4, 1u << 15 | 0x51);
    }
    CHECK(guest.machine.raise(1));
    CHECK(guest.machine.raise(25));
    CHECK_FALSE(guest.machine.raise(1));
    guest.devices->end_of_interrupt(0x51);
    CHECK(guest.machine.raise(1));
    CHECK(guest.machine.raise(25));
}

TEST_CASE("only the ports that are emulated or hidden are trapped")
{
    Guest guest;
    for (const u16 port : {0x20, 0x21, 0x40, 0x43, 0x61, 0x70, 0x71, 0xa0, 0xa1, 0x3f8, 0x3ff, 0xcf8, 0xcff})
        CHECK(guest.devices->port_is_trapped(port));
    for (const u16 port : {0x00, 0x22, 0x44, 0x60, 0x62, 0x64, 0x72, 0x80, 0x92, 0xe9, 0x2f8, 0x3f7, 0x400,
                           0x604, 0xcf7, 0xd00})
        CHECK_FALSE(guest.devices->port_is_trapped(port));
}

TEST_CASE("hidden ports read as absent ones do and take nothing")
{
    Guest guest;
    for (const u16 port : {0x21, 0xa1, 0x40, 0x61, 0x3f8, 0x3fd}) {
        guest.out(port, 0x55);
        CHECK(guest.in(port) == 0xff);
    }
    CHECK(guest.in(0x3f8, 4) == 0xffffffff);
    CHECK(guest.in(0x42) == 0); // or Linux would go on reading it
    CHECK(guest.machine.ports.empty());
}

TEST_CASE("the CMOS index is kept, and written with each access to the data")
{
    Guest guest;
    guest.out(0x70, 0x8b); // with the NMI mask, which is the machine's
    CHECK(guest.in(0x70) == 0x0b);
    CHECK_FALSE(guest.machine.ports.contains(0x70));
    guest.machine.ports[0x71] = 0x26;
    guest.machine.ports[0x70] = 0x04; // somebody else's
    CHECK(guest.in(0x71) == 0x26);
    CHECK(guest.machine.ports[0x70] == 0x0b);
    guest.machine.ports[0x70] = 0x04;
    guest.out(0x71, 0x42);
    CHECK(guest.machine.ports[0x70] == 0x0b);
    CHECK(guest.machine.ports[0x71] == 0x42);
    guest.out(0x70, 0x330c, 2); // index and data in one
    CHECK(guest.machine.ports[0x70] == 0x0c);
    CHECK(guest.machine.ports[0x71] == 0x33);
}

TEST_CASE("configuration ports of every width")
{
    Guest guest;
    guest.out(0xcf8, 0x80000800, 4);
    CHECK(guest.in(0xcf8, 4) == 0x80000800);
    CHECK(guest.in(0xcfc, 4) == 0x11111234);
    CHECK(guest.in(0xcfe, 2) == 0x1111);
    CHECK(guest.in(0xcfd) == 0x12);
    CHECK(guest.in(0x62, 2) == 0); // next to a hidden port: the machine's
    CHECK(guest.in(0x60, 2) == 0xff00);
}

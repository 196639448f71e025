// SPDX-License-Identifier: Apache-2.0
#include "emul/pci_guest.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::pci_test;
using fakes::Function_registers;

TEST_CASE("the scan finds functions on every bus")
{
    Guest guest;
    CHECK(guest.pci.scan() == 6);
    CHECK(guest.read(at(0, 0), 0, 4) == 0x29c08086);
    CHECK(guest.read(kNic, 0, 2) == 0x8086);
    CHECK(guest.read(kNic, 2, 2) == 0x10d3);
    CHECK(guest.read(at(0, 9), 0, 4) == 0xffffffff);
    CHECK(guest.read(at(0, 9), 0, 2) == 0xffff);
    CHECK(guest.pci.scan() == 6); // again: the same ones
}

TEST_CASE("the address port selects, and its neighbours are the chipset's")
{
    Guest guest;
    guest.pci.write_port(0xcf8, 4, 0x8000f800);
    CHECK(guest.pci.read_port(0xcf8, 4) == 0x8000f800);
    CHECK(guest.pci.read_port(0xcfc, 4) == 0x29188086);
    CHECK(guest.pci.read_port(0xcfd, 1) == 0x80);
    CHECK(guest.pci.read_port(0xcff, 2) == 0xffff); // reaches beyond the doubleword
    guest.pci.write_port(0xcf9, 1, 0x0e);
    CHECK(guest.machine.ports[0xcf9] == 0x0e);
    guest.pci.write_port(0xcf8, 4, 0x0000f800); // not enabled
    CHECK(guest.pci.read_port(0xcfc, 4) == 0xffffffff);
}

TEST_CASE("the enhanced window shows the same functions, and more of them")
{
    Guest guest;
    guest.machine.functions[kNic].set(0x100, 4, 0x14020001);
    guest.machine.functions[kNic].allow(0x108, 4, 0xffffffff);
    REQUIRE(guest.pci.add_window({kEcam, 0, 0, 255}));
    CHECK(guest.machine.trapped.size() == 65536);
    const Gpa nic(kEcam + (1 << 20));
    CHECK(guest.pci.owns(nic));
    CHECK_FALSE(guest.pci.owns(Gpa(kEcam - 1)));
    CHECK_FALSE(guest.pci.owns(Gpa(kEcam + (256ull << 20))));
    CHECK(guest.pci.read(nic, 4) == 0x10d38086);
    CHECK(guest.pci.read(nic + 0x100, 4) == 0x14020001);
    CHECK(guest.pci.read(nic + 0x100, 8) == 0x14020001);
    CHECK(guest.pci.read(nic + 0x102, 2) == 0x1402);
    CHECK(guest.pci.read(nic + 0x103, 2) == 0xffff);
    guest.pci.write(nic + 0x108, 4, 0x12345678);
    CHECK(guest.device(kNic, 0x108, 4) == 0x12345678);
    CHECK(guest.pci.read(Gpa(kEcam + 0x48000), 4) == 0xffffffff);

    CHECK(guest.pci.add_window({kEcam, 0, 0, 255})); // known by now
    CHECK(guest.machine.trapped.size() == 65536);
    CHECK(guest.pci.add_window({kEcam, 0, 0, 63}).error() == Errc::eexist);
    CHECK(guest.pci.add_window({kEcam + 1, 1, 0, 255}).error() == Errc::einval);
    CHECK(guest.pci.add_window({kEcam, 1, 9, 8}).error() == Errc::einval);
}

TEST_CASE("a window that is RAM is refused and not used")
{
    Guest guest;
    guest.machine.ram.insert(kEcam >> 12);
    CHECK(guest.pci.add_window({kEcam, 0, 0, 255}).error() == Errc::ebusy);
    CHECK_FALSE(guest.pci.owns(Gpa(kEcam + 0x1000)));
}

TEST_CASE("MSI: the guest's message stays with us, the device gets a host vector")
{
    Guest guest;
    CHECK((guest.read(kAhci, 0x82, 2) & 0x7f) == 0); // one message offered
    guest.write(kAhci, 0x84, 4, 0xfee02000);
    guest.write(kAhci, 0x88, 4, 0);
    guest.write(kAhci, 0x8c, 2, 0x0041);
    CHECK(guest.device(kAhci, 0x84, 4) == 0);
    guest.write(kAhci, 0x82, 2, 1);
    CHECK(guest.read(kAhci, 0x84, 4) == 0xfee02000);
    CHECK(guest.read(kAhci, 0x8c, 2) == 0x41);
    CHECK((guest.read(kAhci, 0x80, 4) >> 16 & 1) == 1);
    CHECK(guest.device(kAhci, 0x84, 4) == 0xfee07000);
    CHECK(guest.device(kAhci, 0x8c, 2) == 0x50);
    CHECK((guest.device(kAhci, 0x82, 2) & 0x71) == 1);

    CHECK(guest.machine.messages.at(0x50).cpu == 12); // where the vCPU is that it is for
    CHECK(guest.machine.send(guest.device(kAhci, 0x8c, 2)));
    CHECK(guest.machine.take() == std::vector{fixed(2, 0x41)});

    guest.write(kAhci, 0x84, 4, 0xfee04000); // another CPU, another vector
    guest.write(kAhci, 0x8c, 2, 0x0042);
    CHECK(guest.device(kAhci, 0x8c, 2) == 0x50);
    guest.machine.send(0x50);
    CHECK(guest.machine.take() == std::vector{fixed(4, 0x42)});

    guest.write(kAhci, 0x82, 2, 0);
    CHECK((guest.device(kAhci, 0x82, 2) & 1) == 0);
    CHECK_FALSE(guest.machine.send(0x50));
    CHECK(guest.machine.vectors_left == 200);
}

TEST_CASE("MSI: multiple messages are not on offer")
{
    Guest guest;
    guest.write(kAhci, 0x82, 2, 0x31);
    CHECK((guest.read(kAhci, 0x82, 2) & 0x7f) == 1);
    CHECK((guest.device(kAhci, 0x82, 2) & 0x7f) == (3u << 1 | 1));
}

TEST_CASE("MSI: masked messages wait")
{
    Guest guest;
    guest.write(kNic, 0xd4, 4, 0xfee00000);
    guest.write(kNic, 0xdc, 2, 0x0061);
    guest.write(kNic, 0xd2, 2, 1);
    guest.write(kNic, 0xe0, 4, 1);
    CHECK(guest.device(kNic, 0xe0, 4) == 1);
    CHECK(guest.read(kNic, 0xe0, 4) == 1);
    guest.machine.send(0x50); // had left already
    CHECK(guest.machine.take().empty());
    CHECK((guest.read(kNic, 0xe4, 4) & 1) == 1);
    guest.write(kNic, 0xe0, 4, 0);
    CHECK(guest.machine.take() == std::vector{fixed(0, 0x61)});
    CHECK((guest.read(kNic, 0xe4, 4) & 1) == 0);
}

TEST_CASE("MSI: what firmware left on is switched off, and a reset device is programmed again")
{
    Guest guest;
    guest.machine.functions[kAhci].bytes[0x82] |= 0x11;
    guest.pci.scan();
    CHECK((guest.device(kAhci, 0x82, 2) & 0x71) == 0);

    guest.write(kAhci, 0x8c, 2, 0x0041);
    guest.write(kAhci, 0x82, 2, 1);
    guest.machine.functions[kAhci].set(0x84, 8, 0);
    guest.machine.functions[kAhci].set(0x8c, 2, 0);
    guest.write(kAhci, 0x82, 2, 1);
    CHECK(guest.device(kAhci, 0x84, 4) == 0xfee07000);
    CHECK(guest.device(kAhci, 0x8c, 2) == 0x50);
    CHECK(guest.machine.messages.size() == 1);
}

TEST_CASE("MSI: without a free host vector it stays off")
{
    Guest guest;
    guest.machine.vectors_left = 0;
    guest.write(kAhci, 0x82, 2, 1);
    CHECK((guest.read(kAhci, 0x82, 2) & 1) == 0);
    CHECK((guest.device(kAhci, 0x82, 2) & 1) == 0);
    CHECK(guest.machine.log_lines == 1);
}

TEST_CASE("MSI: a message to anything but the local APICs reaches nobody")
{
    Guest guest;
    guest.write(kAhci, 0x84, 4, 0x1000);
    guest.write(kAhci, 0x8c, 2, 0x41);
    guest.write(kAhci, 0x82, 2, 1);
    guest.machine.send(0x50);
    CHECK(guest.machine.take().empty());
}

TEST_CASE("probing leaves a function as it was")
{
    Guest guest;
    const auto before = guest.machine.functions;
    guest.pci.scan();
    for (const auto& [address, registers] : before) {
        INFO(int(address.bus) << ":" << int(address.devfn));
        CHECK(guest.machine.functions[address].bytes == registers.bytes);
    }
}

TEST_CASE("a function that appears later is virtual before it can be programmed")
{
    Guest guest;
    guest.pci.scan();
    auto late = Function_registers::endpoint(0x1af4, 0x1041);
    late.add_msi(0x50, false, false);
    guest.machine.functions[at(2, 0)] = late;
    guest.write(at(2, 0), 0x58, 2, 0x99);
    guest.write(at(2, 0), 0x52, 2, 1);
    CHECK(guest.device(at(2, 0), 0x58, 2) == 0x50);
    CHECK(guest.pci.add_function(at(2, 0)));
    CHECK(guest.pci.add_function(at(2, 1)).error() == Errc::enodev);

    // Pulled, and another device put in its place: nothing of the first remains.
    auto next = Function_registers::endpoint(0x1af4, 0x1042);
    next.add_msix(0x98, 3, 1, 0, 0x800);
    guest.machine.functions[at(2, 0)] = next;
    CHECK(guest.pci.add_function(at(2, 0)));
    CHECK(guest.machine.messages.empty());
    CHECK(guest.read(at(2, 0), 0x9a, 2) == 2);
}

TEST_CASE("a function goes when no CPU is in a handler of its interrupts any more")
{
    Guest guest;
    guest.pci.scan();
    guest.write(kNic, 0xd4, 4, 0xfee00000);
    guest.write(kNic, 0xdc, 2, 0x0061);
    guest.write(kNic, 0xd2, 2, 1);
    guest.write(kNvme, 0x42, 2, 0x8000);
    guest.set_entry(1, 0xfee02000, 0x41);
    guest.mask_entry(1, false);
    REQUIRE(guest.machine.messages.size() == 2);

    // They began before the function was removed, and get the lock afterwards.
    unsigned late         = 0;
    const auto begun      = guest.machine.messages;
    guest.machine.on_wait = [&] {
        for (const auto& [vector, message] : begun) {
            if (!guest.machine.messages.contains(vector)) {
                message.handler(message.context);
                ++late;
            }
        }
    };
    SECTION("removed")
    {
        CHECK(guest.pci.remove_function(kNic));
        CHECK(late == 1);
        CHECK_FALSE(guest.pci.knows(kNic));
    }
    SECTION("another in its place")
    {
        guest.machine.functions[kNvme] = Function_registers::endpoint(0x1af4, 0x1042);
        CHECK(guest.pci.add_function(kNvme));
        CHECK(late == 1);
        CHECK(guest.pci.knows(kNvme));
    }
    CHECK(guest.machine.take().empty());
    guest.machine.on_wait = nullptr;
}

TEST_CASE("a capability list that loops ends")
{
    Guest guest;
    auto looping = Function_registers::endpoint(0x1234, 0x5678);
    looping.set(0x34, 1, 0x50);
    looping.set(0x50, 2, 0x5009);
    guest.machine.functions[at(0, 5)] = looping;
    CHECK(guest.read(at(0, 5), 0x50, 2) == 0x5009);
}

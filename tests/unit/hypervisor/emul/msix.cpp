// SPDX-License-Identifier: Apache-2.0
#include "emul/pci_guest.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::pci_test;
using fakes::Function_registers;

TEST_CASE("MSI-X: the table of a function that decodes is trapped, and only its pages")
{
    Guest guest;
    guest.pci.scan();
    CHECK(guest.machine.trapped == std::set<u64>{kMsixTable >> 12});
    CHECK(guest.pci.owns(Gpa(kMsixTable + 0xfff)));
    CHECK_FALSE(guest.pci.owns(Gpa(kMsixTable + 0x1000)));
    CHECK_FALSE(guest.pci.owns(Gpa(kMsixTable - 1)));

    guest.write(kNvme, 4, 2, 0);
    CHECK(guest.machine.trapped.empty());

    SECTION("sizing with decoding off, then a new place above 4 GiB")
    {
        guest.write(kNvme, 0x10, 4, 0xffffffff);
        CHECK(guest.read(kNvme, 0x10, 4) == 0xffffc004);
        guest.write(kNvme, 0x14, 4, 0xffffffff);
        guest.write(kNvme, 0x10, 4, 0x00008000);
        guest.write(kNvme, 0x14, 4, 0x80);
        CHECK(guest.machine.trapped.empty());
        guest.write(kNvme, 4, 2, 6);
        CHECK(guest.machine.trapped == std::set<u64>{0x800000a000 >> 12});
        CHECK(guest.pci.owns(Gpa(0x800000a000)));
    }
    SECTION("moves with decoding on, and into RAM")
    {
        guest.write(kNvme, 4, 2, 6);
        guest.machine.ram.insert(0x102);
        guest.write(kNvme, 0x10, 4, 0x00100000);
        CHECK(guest.machine.trapped.empty());
        CHECK_FALSE(guest.pci.owns(Gpa(0x102000)));
        guest.write(kNvme, 0x10, 4, 0xfe000000);
        CHECK(guest.machine.trapped == std::set<u64>{0xfe002});
    }
}

TEST_CASE("MSI-X: entries reach the device as host vectors, masks as the guest's")
{
    Guest guest;
    guest.pci.scan();
    guest.write(kNvme, 0x42, 2, 0xc000);
    CHECK(guest.read(kNvme, 0x42, 2) == 0xc040);
    CHECK(guest.device(kNvme, 0x42, 2) == 0xc040);
    CHECK(guest.pci.read(Gpa(kMsixTable + 12), 4) == 1);

    guest.set_entry(1, 0xfee02000, 0x41);
    CHECK(guest.pci.read(Gpa(kMsixTable + 16), 4) == 0xfee02000);
    CHECK(guest.pci.read(Gpa(kMsixTable + 24), 4) == 0x41);
    CHECK(guest.pci.read(Gpa(kMsixTable + 24), 8) == (1ull << 32 | 0x41));
    CHECK(guest.machine.word(kMsixTable + 24) == 0);
    guest.mask_entry(1, false);
    CHECK(guest.machine.word(kMsixTable + 16) == 0xfee07000);
    CHECK(guest.machine.word(kMsixTable + 24) == 0x50);
    CHECK(guest.machine.word(kMsixTable + 28) == 0);
    CHECK(guest.machine.messages.at(0x50).cpu == 12);
    guest.write(kNvme, 0x42, 2, 0x8000);
    guest.machine.send(0x50);
    CHECK(guest.machine.take() == std::vector{fixed(2, 0x41)});

    SECTION("a masked entry is masked in the device; what had left is pending")
    {
        guest.mask_entry(1, true);
        CHECK(guest.machine.word(kMsixTable + 28) == 1);
        guest.machine.send(0x50);
        guest.machine.send(0x50);
        CHECK(guest.machine.take().empty());
        guest.set_entry(1, 0xfee04000, 0x43);
        guest.mask_entry(1, false);
        CHECK(guest.machine.take() == std::vector{fixed(4, 0x43)});
        guest.machine.send(0x50);
        CHECK(guest.machine.take().size() == 1);
    }
    SECTION("the function's mask, too")
    {
        guest.write(kNvme, 0x42, 2, 0xc000);
        guest.machine.send(0x50);
        CHECK(guest.machine.take().empty());
        guest.write(kNvme, 0x42, 2, 0x8000);
        CHECK(guest.machine.take() == std::vector{fixed(2, 0x41)});
    }
    SECTION("switched off, its vectors are free again; on again, it gets others")
    {
        guest.write(kNvme, 0x42, 2, 0);
        CHECK(guest.machine.messages.empty());
        CHECK(guest.device(kNvme, 0x42, 2) == 0x40);
        guest.write(kNvme, 0x42, 2, 0x8000);
        CHECK(guest.machine.messages.size() == 1);
        CHECK(guest.machine.word(kMsixTable + 24) == 0x51);
        guest.machine.send(0x51);
        CHECK(guest.machine.take() == std::vector{fixed(2, 0x41)});
    }
    SECTION("removed from the machine")
    {
        REQUIRE(guest.pci.remove_function(kNvme));
        CHECK(guest.machine.messages.empty());
        CHECK(guest.machine.trapped.empty());
        CHECK(guest.pci.remove_function(kNvme).error() == Errc::enodev);
    }
}

TEST_CASE("MSI-X: what else is in the table's pages is the device's own")
{
    Guest guest;
    guest.pci.scan();
    constexpr u64 kBehind         = kMsixTable + 65 * 16;
    guest.machine.memory[kBehind] = 0x5a;
    CHECK(guest.pci.read(Gpa(kBehind), 4) == 0x5a);
    guest.pci.write(Gpa(kBehind + 4), 4, 0x12345678);
    CHECK(guest.machine.word(kBehind + 4) == 0x12345678);
    guest.pci.write(Gpa(kMsixTable + 64 * 16 + 12), 1, 0); // no such access to a table
    guest.pci.write(Gpa(kMsixTable + 64 * 16 + 10), 4, 0);
    CHECK(guest.pci.read(Gpa(kMsixTable + 64 * 16 + 12), 4) == 1);
    CHECK(guest.pci.read(Gpa(kMsixTable + 64 * 16 + 12), 1) == 1);
}

TEST_CASE("MSI-X tables that share a page")
{
    Guest guest;
    auto other = Function_registers::endpoint(0x1af4, 0x1041);
    other.add_bar(1, kMsixTable, 0x1000, false);
    other.add_msix(0x98, 3, 1, 0x800, 0xc00);
    other.set(4, 2, 6);
    guest.machine.functions[at(0, 4)] = other;
    guest.pci.scan();
    CHECK(guest.machine.trapped == std::set<u64>{kMsixTable >> 12});
    guest.write(at(0, 4), 0x9a, 2, 0x8000);
    guest.pci.write(Gpa(kMsixTable + 0x800 + 8), 4, 0x77);
    guest.pci.write(Gpa(kMsixTable + 0x800), 4, 0xfee00000);
    guest.pci.write(Gpa(kMsixTable + 0x800 + 12), 4, 0);
    CHECK(guest.machine.word(kMsixTable + 0x808) == 0x50);
    guest.machine.send(0x50);
    CHECK(guest.machine.take() == std::vector{fixed(0, 0x77)});
    guest.write(kNvme, 4, 2, 0);
    CHECK(guest.machine.trapped.size() == 1);
    guest.write(at(0, 4), 4, 2, 0);
    CHECK(guest.machine.trapped.empty());
}

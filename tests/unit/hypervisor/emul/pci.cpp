// SPDX-License-Identifier: Apache-2.0
#include "emul/machine.hpp"
#include "emul/pci/pci_host.hpp"
#include "emul/pci/pci_registers.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using fakes::Function_registers;

namespace
{

constexpr u64 kEcam      = 0xb0000000;
constexpr u64 kMsixTable = 0xfebd6000;

constexpr Pci_address at(u8 bus, u8 device, u8 function = 0)
{
    return {0, bus, static_cast<u8>(device << 3 | function)};
}

constexpr Pci_address kAhci = at(0, 0x1f, 2), kNvme = at(0, 3), kNic = at(1, 0), kBridge = at(0, 1);

// The functions of a QEMU q35 with an AHCI disk (MSI), an NVMe disk (MSI-X in BAR 0) and a NIC behind a
// root port (MSI and MSI-X, 32-bit BAR); registers as these devices have them.
struct Guest {
    fakes::Machine machine;
    Pci_host pci{machine.domain};

    Guest()
    {
        auto host_bridge = Function_registers::endpoint(0x8086, 0x29c0);
        host_bridge.set(6, 2, 0);
        machine.functions[at(0, 0)] = host_bridge;

        auto lpc = Function_registers::endpoint(0x8086, 0x2918);
        lpc.set(0x0e, 1, 0x80);
        machine.functions[at(0, 0x1f)] = lpc;
        auto ahci                      = Function_registers::endpoint(0x8086, 0x2922);
        ahci.add_bar(5, 0xfebf0000, 0x1000, false);
        ahci.add_msi(0x80, true, false);
        machine.functions[kAhci] = ahci;

        auto nvme = Function_registers::endpoint(0x1b36, 0x0010);
        nvme.add_bar(0, kMsixTable - 0x2000, 0x4000, true);
        nvme.add_msix(0x40, 65, 0, 0x2000, 0x3000);
        nvme.set(4, 2, 6);
        machine.functions[kNvme] = nvme;

        auto bridge = Function_registers::endpoint(0x1b36, 0x000c);
        bridge.set(0x0e, 1, 0x01);
        bridge.set(0x18, 4, 0x00010100);
        bridge.add_msix(0x48, 1, 0, 0, 0x800);
        bridge.add_bar(0, 0xfebd9000, 0x1000, false);
        machine.functions[kBridge] = bridge;

        auto nic = Function_registers::endpoint(0x8086, 0x10d3);
        nic.add_bar(3, 0xfe800000, 0x4000, false);
        nic.add_msi(0xd0, true, true);
        nic.add_msix(0xa0, 5, 3, 0, 0x2000);
        machine.functions[kNic] = nic;

        machine.ecam = {{kEcam, 0, 0, 255}};
    }

    u32 read(Pci_address f, u16 offset, u8 size)
    {
        pci.write_port(0xcf8, 4,
                       0x80000000 | static_cast<u32>(f.bus) << 16 | static_cast<u32>(f.devfn) << 8 |
                           (offset & 0xfc));
        return pci.read_port(static_cast<u16>(0xcfc + (offset & 3)), size);
    }
    void write(Pci_address f, u16 offset, u8 size, u32 value)
    {
        pci.write_port(0xcf8, 4,
                       0x80000000 | static_cast<u32>(f.bus) << 16 | static_cast<u32>(f.devfn) << 8 |
                           (offset & 0xfc));
        pci.write_port(static_cast<u16>(0xcfc + (offset & 3)), size, value);
    }
    u32 device(Pci_address f, u16 offset, u8 size) { return machine.functions[f].get(offset, size); }

    void set_entry(unsigned index, u32 address, u32 data)
    {
        const u64 entry = kMsixTable + 16 * index;
        pci.write(Gpa(entry), 4, address);
        pci.write(Gpa(entry + 4), 4, 0);
        pci.write(Gpa(entry + 8), 4, data);
    }
    void mask_entry(unsigned index, bool masked) { pci.write(Gpa(kMsixTable + 16 * index + 12), 4, masked); }
};

Interrupt_message fixed(u32 destination, u8 vector)
{
    return {destination, false, Delivery_mode::fixed, vector, false};
}

} // namespace

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

    CHECK(guest.pci.add_window({kEcam, 0, 0, 255}).error() == Errc::eexist);
    CHECK(guest.pci.add_window({kEcam + 1, 1, 0, 255}).error() == Errc::einval);
    CHECK(guest.pci.add_window({kEcam, 1, 9, 8}).error() == Errc::einval);
    CHECK(guest.pci.has_window({kEcam, 0, 0, 255}));
    CHECK_FALSE(guest.pci.has_window({kEcam, 0, 0, 63}));
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

TEST_CASE("device memory above 4 GiB enters dom0's map when it is touched")
{
    Guest guest;
    auto gpu = Function_registers::endpoint(0x1234, 0x1111);
    gpu.add_bar(0, 0xc000000000, 0x400000, true);
    gpu.add_bar(2, 0xc000401000, 0x1000, true);
    gpu.add_msix(0x40, 4, 0, 0x300000, 0x301000);
    guest.machine.functions[at(0, 2)] = gpu;
    guest.pci.scan();
    CHECK_FALSE(guest.pci.map_device_memory(Gpa(0xc000000000))); // it does not decode
    guest.write(at(0, 2), 4, 2, 2);
    CHECK(guest.machine.trapped.contains(0xc000300));
    CHECK(guest.pci.map_device_memory(Gpa(0xc000012345)));
    CHECK(guest.machine.given.size() == 512);
    CHECK(guest.machine.given.contains(0xc000000));
    CHECK(guest.pci.map_device_memory(Gpa(0xc0003ff000))); // its neighbour's pages hold a table
    CHECK(guest.machine.given.size() == 513);
    CHECK_FALSE(guest.pci.map_device_memory(Gpa(0xc000300010)));
    CHECK_FALSE(guest.pci.map_device_memory(Gpa(0xc000400000)));
    CHECK(guest.pci.map_device_memory(Gpa(0xc000401ff0)));
    CHECK(guest.machine.given.contains(0xc000401));
    CHECK_FALSE(guest.pci.map_device_memory(Gpa(0xc000402000)));
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

TEST_CASE("a capability list that loops ends")
{
    Guest guest;
    auto looping = Function_registers::endpoint(0x1234, 0x5678);
    looping.set(0x34, 1, 0x50);
    looping.set(0x50, 2, 0x5009);
    guest.machine.functions[at(0, 5)] = looping;
    CHECK(guest.read(at(0, 5), 0x50, 2) == 0x5009);
}

// SPDX-License-Identifier: Apache-2.0
//
// The PHYSDEVOP edge: what reaches dom0's PCI host, and what everybody else is told. The PCI host is a
// recorder.
#include "emul/domain_devices.hpp"
#include "world.hpp"

#include <catch2/catch.hpp>

#include <xen/physdev.h>

namespace vmm
{

namespace
{

struct Recorder {
    std::vector<Pci_ecam> windows;
    std::vector<Pci_address> added, removed;
    Errc refusal = Errc::einval; // of what it is told to refuse
    bool refuse  = false;
};
Recorder recorder;

Expected<void> answer() { return recorder.refuse ? fail(recorder.refusal) : Expected<void>(); }

} // namespace

Pci_host::~Pci_host() = default;
u64 Pci_host::read(Gpa, u8) { return 0; }
void Pci_host::write(Gpa, u8, u64) {}
Expected<void> Pci_host::add_window(const Pci_ecam& window)
{
    recorder.windows.push_back(window);
    return answer();
}
Expected<void> Pci_host::add_function(Pci_address address)
{
    recorder.added.push_back(address);
    return answer();
}
Expected<void> Pci_host::remove_function(Pci_address address)
{
    recorder.removed.push_back(address);
    return answer();
}

} // namespace vmm

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr u64 kArg  = 0x3000;
constexpr u64 kHole = 0x7000'0000;
constexpr u64 kEnd  = 64 * kPageSize; // of a domain's memory

struct Machine {
    World world;
    Domain& dom0;
    Domain_devices devices;

    Machine() : dom0(world.make(0, true)), devices(dom0, {.ecam = {}, .hidden_uart = 0})
    {
        recorder = {};
        dom0.set_devices(&devices);
    }
    s64 call(u64 command, u64 arg = kArg) { return call_of(dom0, command, arg); }
    static s64 call_of(Domain& d, u64 command, u64 arg = kArg)
    {
        Hypercall_args args{{command, arg, 0, 0, 0}};
        const auto result = do_physdev_op(*d.vcpu(0), args);
        return result ? static_cast<s64>(*result) : -static_cast<s64>(result.error());
    }
    template <class T>
    T& arg(u64 at = kArg)
    {
        return *guest<T>(dom0, at);
    }
};

constexpr u64 kCommands[] = {PHYSDEVOP_pci_mmcfg_reserved, PHYSDEVOP_pci_device_add,
                             PHYSDEVOP_pci_device_remove, PHYSDEVOP_dbgp_op};

} // namespace

TEST_CASE("a domain without devices has none of these calls")
{
    Machine m;
    Domain& guest = m.world.make(1);
    for (const u64 command : kCommands)
        CHECK(Machine::call_of(guest, command, kHole) == -XEN_ENOSYS);
    CHECK(recorder.added.empty());
}

TEST_CASE("there are no pirqs, and unknown commands are unknown")
{
    Machine m;
    for (const u64 command : {PHYSDEVOP_map_pirq, PHYSDEVOP_unmap_pirq, PHYSDEVOP_eoi,
                              PHYSDEVOP_irq_status_query, PHYSDEVOP_setup_gsi, PHYSDEVOP_prepare_msix, 99})
        CHECK(m.call(command) == -XEN_ENOSYS);
}

TEST_CASE("bad pointers do nothing")
{
    Machine m;
    for (const u64 command : kCommands)
        CHECK(m.call(command, kHole) == -XEN_EFAULT);
    CHECK(recorder.windows.empty());
    CHECK(recorder.added.empty());
    CHECK(recorder.removed.empty());
}

TEST_CASE("a configuration window is added only when it is reserved")
{
    Machine m;
    auto& op = m.arg<physdev_pci_mmcfg_reserved>();
    op       = {.address = 0xb000'0000, .segment = 2, .start_bus = 1, .end_bus = 9, .flags = 0};
    CHECK(m.call(PHYSDEVOP_pci_mmcfg_reserved) == 0);
    CHECK(recorder.windows.empty());
    op.flags = XEN_PCI_MMCFG_RESERVED;
    CHECK(m.call(PHYSDEVOP_pci_mmcfg_reserved) == 0);
    REQUIRE(recorder.windows.size() == 1);
    CHECK(recorder.windows[0].address == 0xb000'0000);
    CHECK(recorder.windows[0].segment == 2);
    CHECK(recorder.windows[0].first_bus == 1);
    CHECK(recorder.windows[0].last_bus == 9);
    recorder.refuse  = true;
    recorder.refusal = Errc::eexist;
    op.address       = 0xc000'0000;
    CHECK(m.call(PHYSDEVOP_pci_mmcfg_reserved) == -XEN_EEXIST);
}

TEST_CASE("functions come and go")
{
    Machine m;
    m.arg<physdev_pci_device>() = {.seg = 1, .bus = 2, .devfn = 0x1b};
    CHECK(m.call(PHYSDEVOP_pci_device_remove) == 0);
    REQUIRE(recorder.removed.size() == 1);
    CHECK(recorder.removed[0] == Pci_address{1, 2, 0x1b});
    recorder.refuse  = true;
    recorder.refusal = Errc::enodev;
    CHECK(m.call(PHYSDEVOP_pci_device_remove) == -XEN_ENODEV);
    CHECK(m.call(PHYSDEVOP_pci_device_add) == -XEN_ENODEV);
}

TEST_CASE("a function without a proximity number may end with the caller's memory")
{
    Machine m;
    const u64 at = kEnd - sizeof(physdev_pci_device_add);
    auto& op     = m.arg<physdev_pci_device_add>(at);
    op.seg       = 0;
    op.bus       = 3;
    op.devfn     = 8;
    op.flags     = 0;
    CHECK(m.call(PHYSDEVOP_pci_device_add, at) == 0);
    REQUIRE(recorder.added.size() == 1);
    CHECK(recorder.added[0] == Pci_address{0, 3, 8});
    CHECK(m.call(PHYSDEVOP_pci_device_add, at + 1) == -XEN_EFAULT);
}

TEST_CASE("no debug port is the hypervisor's")
{
    Machine m;
    m.arg<physdev_dbgp_op>() = {
        .op = PHYSDEVOP_DBGP_RESET_PREPARE, .bus = PHYSDEVOP_DBGP_BUS_UNKNOWN, .u = {}};
    CHECK(m.call(PHYSDEVOP_dbgp_op) == 0);
}

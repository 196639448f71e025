// SPDX-License-Identifier: Apache-2.0
//
// The controls chosen on recorded CPUs, from one that has all to ones that lack what guests need.
#include "arch/x86/decode/vmx_capabilities.hpp"

#include "arch/x86/regs/msr.hpp"
#include "arch/x86/regs/vmcs.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace vmm;
using namespace vmm::vmx;

namespace
{

std::map<u32, u64> msrs;

u64 recorded(u32 index)
{
    INFO("MSR " << std::hex << index);
    REQUIRE(msrs.count(index) == 1);
    return msrs[index];
}

// Core i7 of the fourth generation: APICv of servers is not there, all else is.
const std::map<u32, u64> kHaswell{{0x480, 0x00da0400'00000012},
                                  {0x481, 0x0000007f'00000016},
                                  {0x482, 0xfff9fffe'0401e172},
                                  {0x483, 0x007fffff'00036dff},
                                  {0x484, 0x0000ffff'000011ff},
                                  {0x485, 0x300481e5},
                                  {0x486, 0x80000021},
                                  {0x487, 0xffffffff},
                                  {0x488, 0x2000},
                                  {0x489, 0x1767ff},
                                  {0x48b, 0x00007cfe'00000000},
                                  {0x48c, 0x00000f01'06334141},
                                  {0x48d, 0x0000007f'00000016},
                                  {0x48e, 0xfff9fffe'04006172},
                                  {0x48f, 0x007fffff'00036dfb},
                                  {0x490, 0x0000ffff'000011fb}};

std::map<u32, u64> with(std::map<u32, u64> changes)
{
    changes.insert(kHaswell.begin(), kHaswell.end());
    return changes;
}

// The second generation: no accessed and dirty flags, no 1 GiB leaves, no INVPCID.
const auto kSandyBridge =
    with({{0x489, 0x627ff}, {0x48b, 0x000000ff'00000000}, {0x48c, 0x00000f01'06114141}});
// The first Core i7: EPT, but guests have to have paging on.
const auto kNehalem = with({{0x489, 0x27ff}, {0x48b, 0x0000006f'00000000}, {0x48c, 0x00000f01'06114141}});
// Core 2: no EPT.
const auto kPenryn  = with({{0x489, 0x27ff}, {0x48b, 0x00000041'00000000}});

Controls choose(const std::map<u32, u64>& cpu)
{
    msrs = cpu;
    return choose_controls(read_capabilities(recorded));
}

bool within(u32 value, Allowed allowed)
{
    return (value & allowed.must) == allowed.must && (value & ~allowed.may) == 0;
}

} // namespace

TEST_CASE("vmx: every control word is one that the CPU accepts")
{
    const auto& cpu  = GENERATE_REF(values<std::map<u32, u64>>({kHaswell, kSandyBridge, kNehalem, kPenryn}));
    const Controls c = choose(cpu);
    CHECK(within(c.pin, Allowed(cpu.at(0x48d))));
    CHECK(within(c.cpu, Allowed(cpu.at(0x48e))));
    CHECK(within(c.cpu_2, Allowed(cpu.at(0x48b))));
    CHECK(within(c.exit, Allowed(cpu.at(0x48f))));
    CHECK(within(c.entry, Allowed(cpu.at(0x490))));
}

TEST_CASE("vmx: a CPU that has all of it")
{
    const Controls c = choose(kHaswell);
    CHECK(c.missing.empty());
    CHECK(c.accessed_dirty);
    CHECK(c.giant_pages);
    CHECK(c.preemption_timer_shift == 5);
    for (const u32 control : {cpu_control_2::ept, cpu_control_2::vpid, cpu_control_2::unrestricted,
                              cpu_control_2::invpcid, cpu_control_2::rdtscp})
        CHECK(c.has_2(control));
    // What must not be on: loads and stores of CR3 would exit where the plain capabilities are believed.
    CHECK((c.cpu & (bit(15) | bit(16))) == 0);
}

TEST_CASE("vmx: the virtual APIC is used whole or not at all")
{
    const u64 all = 0x00007cfe'00000000;
    CHECK_FALSE(choose(with({{0x48b, all & ~(u64{cpu_control_2::delivery} << 32)}})).virtual_apic);
    CHECK_FALSE(choose(with({{0x48b, all & ~(u64{cpu_control_2::apic_reads} << 32)}})).virtual_apic);
    const Controls server = choose(with({{0x48b, all | u64{kVirtualApic} << 32}}));
    CHECK(server.virtual_apic);
    CHECK_FALSE(server.has_2(kVirtualApic)); // only while a guest's APIC is on
}

TEST_CASE("vmx: the preemption timer is used where it goes on over exits, or not at all")
{
    const auto timer = [](u64 pin, u64 exit) {
        const Controls c = choose(with({{0x48d, pin}, {0x48f, exit}}));
        return std::pair(c.has_pin(pin::preemption_timer), (c.exit & exit_control::save_timer) != 0);
    };
    const u64 pin  = kHaswell.at(0x48d);
    const u64 exit = kHaswell.at(0x48f);
    const u64 save = u64{exit_control::save_timer} << 32;
    CHECK(timer(pin, exit) == std::pair(true, true));
    CHECK(timer(pin, exit & ~save) == std::pair(false, false));
    CHECK(timer(pin & ~(u64{pin::preemption_timer} << 32), exit) == std::pair(false, false));
}

TEST_CASE("vmx: without the true capabilities the plain ones count")
{
    auto cpu = kHaswell;
    cpu[0x480] &= ~bit(55);
    for (const u32 unread : {0x48du, 0x48eu, 0x48fu, 0x490u})
        cpu.erase(unread);
    const Controls c = choose(cpu);
    CHECK(c.missing.empty());
    CHECK((c.cpu & (bit(15) | bit(16))) == (bit(15) | bit(16)));
}

TEST_CASE("vmx: older CPUs do with less, and are refused by the name of what they lack")
{
    const Controls sandy = choose(kSandyBridge);
    CHECK(sandy.missing.empty());
    CHECK_FALSE(sandy.accessed_dirty);
    CHECK_FALSE(sandy.giant_pages);
    CHECK_FALSE(sandy.has_2(cpu_control_2::invpcid));
    CHECK(choose(kNehalem).missing == "unrestricted guests");
    CHECK(choose(kPenryn).missing == "extended page tables (EPT)");
}

TEST_CASE("vmx: FEATURE_CONTROL is set where the firmware left it open, and only there")
{
    using namespace feature_control;
    CHECK(with_vmxon(0) == 5);
    CHECK(with_vmxon(2) == 7); // within SMX: theirs
    CHECK(with_vmxon(4) == 5);
    for (const u64 theirs : {1u, 3u, 5u, 7u})
        CHECK(with_vmxon(theirs) == theirs);
    CHECK(forbids_vmxon(1));
    CHECK(forbids_vmxon(3));
    CHECK_FALSE(forbids_vmxon(0));
    CHECK_FALSE(forbids_vmxon(5));
}

TEST_CASE("vmx: the host's control registers get the bits that VT-x fixes")
{
    msrs                 = kHaswell;
    const Capabilities c = read_capabilities(recorded);
    CHECK(c.host_cr0(0x80010013) == 0x80010033); // NE
    CHECK(c.host_cr4(0x20) == 0x2020);           // VMXE
    CHECK(c.host_cr4(0x20 | bit(23)) == 0x2020); // one that this CPU has not
}

TEST_CASE("vmx: VPID is used only where it can be flushed")
{
    CHECK_FALSE(choose(with({{0x48c, 0x06334141}})).has_2(cpu_control_2::vpid));
}

TEST_CASE("vmx: EPT that cannot hold or forget a guest's tables is refused by the name of what it lacks")
{
    const auto lacking = [](u64 bits) {
        return choose(with({{0x48c, 0x00000f01'06334141 & ~bits}})).missing;
    };
    CHECK(lacking(bit(6)) == "EPT tables of four levels");
    CHECK(lacking(bit(14)) == "write-back memory for EPT tables");
    CHECK(lacking(bit(16)) == "EPT pages of 2 MiB");
    CHECK(lacking(bit(20)) == "INVEPT for one guest's tables");
    CHECK(lacking(bit(25)) == "INVEPT for one guest's tables");
    // What can be done without: 1 GiB pages, uncached tables, flags, flushing all.
    CHECK(lacking(bit(17) | bit(8) | bit(21) | bit(26)).empty());
}

TEST_CASE("vmx: EPT is used with what the CPU's has")
{
    const Controls haswell = choose(kHaswell), sandy = choose(kSandyBridge);
    const auto written = [&](const Controls& chosen, u64 flags) {
        Nested_format::places = ept_places(chosen);
        return Nested_format::is_written(Nested_format::leaf(Hpa(0x200000), 2, {true, true, false, 1}) |
                                         flags);
    };
    CHECK(written(haswell, Nested_format::ept.dirty));
    CHECK_FALSE(written(haswell, 0));
    CHECK(written(sandy, 0)); // nobody noted, so it has to be believed
    CHECK(ept_places(haswell).largest_leaf == 3);
    CHECK(ept_places(sandy).largest_leaf == 2);
    CHECK(make_eptp(Hpa(0x123000), haswell) == 0x12305e);
    CHECK(make_eptp(Hpa(0x123000), sandy) == 0x12301e);
}

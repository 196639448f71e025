// SPDX-License-Identifier: Apache-2.0
#include "emul/apic_world.hpp"

#include <catch2/catch.hpp>

#include <xen/hvm/save.h>
#include <xen/xen.h>

using namespace vmm;
using namespace vmm::apic;

namespace
{

u64 command(u32 destination, u32 low) { return static_cast<u64>(destination) << 32 | low; }

constexpr u32 kLogicalMode = 1u << 11;
constexpr u32 kToSelf = 1u << 18, kToAll = 2u << 18, kToOthers = 3u << 18;
constexpr u32 kModeLowest = 1u << 8, kModeNmi = 4u << 8, kModeInit = 5u << 8, kModeStartup = 6u << 8;

} // namespace

TEST_CASE("a local APIC starts in x2APIC mode, its software switch off")
{
    Domain domain(3);
    Vcpu& second = domain[1];
    CHECK(*domain[0].apic.read_msr(kBaseMsr) == 0xfee00d00);
    CHECK(*second.apic.read_msr(kBaseMsr) == 0xfee00c00);
    CHECK(second.read(reg_id) == 2);
    CHECK(second.read(reg_ldr) == 1u << 2);
    CHECK(second.read(reg_version) == 0x50014);
    CHECK(second.read(reg_spurious) == 0xff);
    CHECK(second.read(reg_lvt_timer) == kLvtMasked);
    second.apic.set_irq(0x40, false);
    CHECK(second.apic.pending_vector() == -1);
    CHECK(second.wakes == 0);
}

TEST_CASE("ids beyond the first cluster have their own logical address")
{
    Domain domain(20);
    CHECK(domain[19].apic.id() == 38);
    CHECK(domain[19].apic.logical_id() == (2u << 16 | 1u << 6));
}

TEST_CASE("the highest requested vector above the processor priority is taken")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.enable();
    vcpu.apic.set_irq(0x31, false);
    vcpu.apic.set_irq(0xf1, false);
    vcpu.apic.set_irq(0x52, false);
    CHECK(vcpu.wakes == 3);
    CHECK(vcpu.read(reg_irr + 7) == 1u << 17);
    CHECK(vcpu.take() == 0xf1);
    CHECK(vcpu.read(reg_isr + 7) == 1u << 17);
    CHECK(vcpu.read(reg_ppr) == 0xf0);
    CHECK(vcpu.take() == -1);

    vcpu.apic.set_irq(0xff, false); // of the same class: has to wait
    CHECK(vcpu.take() == -1);
    vcpu.write(reg_eoi, 0);
    CHECK(vcpu.take() == 0xff);
    vcpu.write(reg_eoi, 0);
    CHECK(vcpu.take() == 0x52);
    CHECK(vcpu.take() == -1);
    vcpu.apic.set_irq(0x60, false); // nests
    CHECK(vcpu.take() == 0x60);
    vcpu.write(reg_eoi, 0);
    CHECK(vcpu.take() == -1);
    vcpu.write(reg_eoi, 0);
    CHECK(vcpu.take() == 0x31);
}

TEST_CASE("an interrupt that the guest did not get to take is pending as before")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.enable();
    vcpu.apic.set_irq(0x31, false);
    REQUIRE(vcpu.take() == 0x31);
    vcpu.apic.set_irq(0x31, false); // merges with the one given back
    vcpu.apic.set_irq(0x52, false);
    REQUIRE(vcpu.take() == 0x52);
    vcpu.apic.give_back(0x52);
    CHECK(vcpu.read(reg_isr + 2) == 0);
    CHECK(vcpu.read(reg_ppr) == 0x30);
    vcpu.apic.give_back(0x31);
    CHECK(vcpu.take() == 0x52);
    vcpu.write(reg_eoi, 0);
    CHECK(vcpu.take() == 0x31);
    vcpu.write(reg_eoi, 0);
    CHECK(vcpu.take() == -1);
}

TEST_CASE("a request that is there already wakes nobody again")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.enable();
    vcpu.apic.set_irq(0x31, false);
    vcpu.apic.set_irq(0x31, false);
    CHECK(vcpu.wakes == 1);
    CHECK(vcpu.take() == 0x31);
    vcpu.apic.set_irq(0x31, false); // once more while in service
    CHECK(vcpu.wakes == 2);
    vcpu.write(reg_eoi, 0);
    CHECK(vcpu.take() == 0x31);
}

TEST_CASE("TPR and CR8 are one register")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.enable();
    vcpu.write(reg_tpr, 0x45);
    CHECK(vcpu.tpr == 0x45);
    CHECK(vcpu.read(reg_tpr) == 0x45);
    vcpu.apic.set_irq(0x4f, false);
    CHECK(vcpu.apic.pending_vector() == -1);
    CHECK(vcpu.apic.held_back_by_tpr());
    vcpu.tpr = 0x30; // MOV CR8
    CHECK(vcpu.apic.pending_vector() == 0x4f);
    CHECK_FALSE(vcpu.apic.held_back_by_tpr());
    CHECK((vcpu.read(reg_ppr) & 0xf0) == 0x30);

    CHECK(vcpu.take() == 0x4f);
    vcpu.apic.set_irq(0x42, false);
    CHECK_FALSE(vcpu.apic.held_back_by_tpr()); // by what is in service
    CHECK(vcpu.refuses(reg_tpr, 0x100));
}

TEST_CASE("a CPU that delivers interrupts is handed each once, from when the APIC is on")
{
    Domain domain(1);
    Vcpu& vcpu        = domain[0];
    vcpu.cpu_delivers = true;
    CHECK_FALSE(vcpu.cpu.on);
    vcpu.enable();
    REQUIRE(vcpu.cpu.on);

    vcpu.apic.set_irq(0x31, false);
    vcpu.apic.set_irq(0x52, true);
    CHECK(vcpu.apic.pending_vector() == 0x52); // also before it is handed over, for HLT
    CHECK(vcpu.take_by_cpu() == 0x52);
    CHECK(vcpu.apic.pending_vector() == -1); // 0x31 has to wait for the EOI
    CHECK_FALSE(vcpu.apic.held_back_by_tpr());
    CHECK(vcpu.read(reg_isr + 2) == 1u << 0x12);
    CHECK(vcpu.read(reg_irr + 1) == 1u << 0x11);
    CHECK(vcpu.read(reg_ppr) == 0x50);
    CHECK(vcpu.cpu.end() == 0x52);
    vcpu.apic.in_service_ended(0x52);
    CHECK(vcpu.level_ends == std::vector<u8>{0x52});
    CHECK(vcpu.apic.pending_vector() == 0x31);
    CHECK(vcpu.cpu.take(0) == 0x31);
    CHECK(vcpu.cpu.end() == -1);
    CHECK(vcpu.take_by_cpu() == -1);

    vcpu.tpr = 0x45; // the guest's MOV CR8, or WRMSR: no exit either way
    vcpu.apic.set_irq(0x4f, false);
    CHECK(vcpu.apic.pending_vector() == -1);
    CHECK(vcpu.take_by_cpu() == -1);
    vcpu.tpr = 0x30;
    CHECK(vcpu.apic.pending_vector() == 0x4f);
    CHECK(vcpu.cpu.take(vcpu.tpr) == 0x4f);
}

TEST_CASE("what a CPU has of an APIC that is switched off or reset is not lost, or is")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.enable();
    vcpu.apic.set_irq(0x61, true);
    CHECK(vcpu.take() == 0x61);
    vcpu.apic.set_irq(0x72, false);
    vcpu.cpu_delivers = true;
    vcpu.enable(); // once more: the CPU takes over what is there
    CHECK(vcpu.take_by_cpu() == 0x72);
    vcpu.apic.set_irq(0x83, false);
    vcpu.enter();

    SECTION("by software")
    {
        vcpu.write(reg_spurious, 0xff);
        CHECK_FALSE(vcpu.cpu.on);
        CHECK(vcpu.read(reg_irr + 4) == 1u << 3);
        vcpu.cpu_delivers = false;
        vcpu.enable();
        CHECK(vcpu.take() == 0x83);
        for (unsigned i = 0; i < 3; ++i)
            vcpu.write(reg_eoi, 0);
        CHECK(vcpu.level_ends == std::vector<u8>{0x61});
        CHECK(vcpu.apic.pending_vector() == -1);
    }
    SECTION("by its base register")
    {
        REQUIRE(vcpu.apic.write_msr(0x1b, kDefaultBase));
        CHECK_FALSE(vcpu.cpu.on);
        CHECK(vcpu.apic.pending_vector() == -1);
    }
    SECTION("by INIT")
    {
        vcpu.apic.reset();
        CHECK_FALSE(vcpu.cpu.on);
        for (u32 i = 0; i < 24; ++i)
            CHECK(vcpu.read(reg_isr + i) == 0);
        vcpu.enable();
        CHECK(vcpu.take_by_cpu() == -1);
    }
    SECTION("and it is saved and loaded as any other")
    {
        hvm_hw_lapic state{};
        hvm_hw_lapic_regs registers{};
        vcpu.apic.save(state, registers);
        Domain other(1);
        Vcpu& to = other[0];
        REQUIRE(to.apic.load(state, registers));
        CHECK(to.take() == 0x83);
        for (unsigned i = 0; i < 3; ++i)
            to.write(reg_eoi, 0);
        CHECK(to.level_ends == std::vector<u8>{0x61});
    }
}

TEST_CASE("the end of a level-triggered interrupt is told, that of an edge is not")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.enable();
    vcpu.apic.set_irq(0x51, true);
    CHECK(vcpu.read(reg_tmr + 2) == 1u << 17);
    CHECK(vcpu.take() == 0x51);
    vcpu.write(reg_eoi, 0);
    CHECK(vcpu.level_ends == std::vector<u8>{0x51});
    vcpu.apic.set_irq(0x51, false);
    CHECK(vcpu.read(reg_tmr + 2) == 0);
    CHECK(vcpu.take() == 0x51);
    vcpu.write(reg_eoi, 0);
    vcpu.write(reg_eoi, 0); // nothing in service
    CHECK(vcpu.level_ends.size() == 1);
}

TEST_CASE("IPIs reach whom they name")
{
    Domain domain(20);
    for (auto& vcpu : domain.vcpus)
        vcpu->enable();
    Vcpu& sender         = domain[0];
    const auto receivers = [&](u64 icr) {
        for (auto& vcpu : domain.vcpus) {
            while (vcpu->take() >= 0)
                vcpu->write(reg_eoi, 0);
        }
        sender.write(reg_command, icr);
        CHECK(sender.read(reg_command) == icr);
        std::vector<unsigned> got;
        for (unsigned i = 0; i < domain.vcpus.size(); ++i) {
            if (domain[i].apic.pending_vector() == 0x80)
                got.push_back(i);
        }
        return got;
    };
    using List = std::vector<unsigned>;
    CHECK(receivers(command(6, 0x80)) == List{3});
    CHECK(receivers(command(5, 0x80)).empty());
    CHECK(receivers(command(400, 0x80)).empty());
    CHECK(receivers(command(kBroadcast, 0x80)).size() == 20);
    CHECK(receivers(command(1u << 16 | 5, kLogicalMode | 0x80)) == List{8, 9});
    CHECK(receivers(command(1u << 16 | 5, kLogicalMode | kModeLowest | 0x80)) == List{8});
    CHECK(receivers(command(0, kToSelf | 0x80)) == List{0});
    CHECK(receivers(command(9, kToAll | 0x80)).size() == 20);
    CHECK(receivers(command(9, kToOthers | 0x80)).size() == 19);

    sender.write(reg_self_ipi, 0x91);
    CHECK(sender.take() == 0x91);
}

TEST_CASE("NMI, INIT and start-up messages")
{
    Domain domain(3);
    Vcpu& sender = domain[0];
    sender.write(reg_command, command(2, kModeNmi));
    CHECK(domain[1].nmis == 1);
    sender.write(reg_command, command(4, kModeInit | 1u << 14));
    sender.write(reg_command, command(4, kModeInit | 1u << 15)); // de-assert
    CHECK(domain[2].inits == 1);
    sender.write(reg_command, command(4, kModeStartup | 0x9a));
    CHECK(domain[2].startups == std::vector<u8>{0x9a});
    sender.write(reg_command, command(0, kModeNmi | kToOthers));
    CHECK(domain[0].nmis == 0);
    CHECK(domain[1].nmis == 2);
    CHECK(domain[2].nmis == 1);
}

TEST_CASE("a device is best told to interrupt the CPU where the vCPU is that its message is for")
{
    Domain domain(3);
    CHECK(cpu_of_destination(domain, message_of_msi(0xfee04000, 0x41)) == 14);
    CHECK(cpu_of_destination(domain, message_of_msi(0xfee14004, 0x41)) == 12); // logical: the first of two
    CHECK(cpu_of_destination(domain, message_of_msi(0xfee08000, 0x41)) == 0);  // there is none
    CHECK(cpu_of_destination(domain, message_of_msi(0x1000, 0x41)) == 0);
}

TEST_CASE("lowest priority passes by APICs that are off")
{
    Domain domain(3);
    domain[2].enable();
    domain[0].write(reg_command, command(0x3f, kLogicalMode | kModeLowest | 0x80));
    CHECK(domain[2].take() == 0x80);
}

TEST_CASE("illegal vectors are errors, not interrupts")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.enable();
    vcpu.write(reg_lvt_error, 0xfe);
    vcpu.write(reg_self_ipi, 5);
    CHECK(vcpu.take() == 0xfe);
    vcpu.write(reg_eoi, 0);
    vcpu.write(reg_self_ipi, 5); // the same error again is quiet until it was read
    CHECK(vcpu.take() == -1);
    vcpu.apic.set_irq(15, false);
    CHECK(vcpu.take() == 0xfe);
    CHECK(vcpu.read(reg_error_status) == 0);
    vcpu.write(reg_error_status, 0);
    CHECK(vcpu.read(reg_error_status) == (kSendIllegalVector | kReceivedIllegalVector));
    vcpu.write(reg_error_status, 0);
    CHECK(vcpu.read(reg_error_status) == 0);
    CHECK(vcpu.refuses(reg_error_status, 1));
}

TEST_CASE("reserved bits and absent registers are refused")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    CHECK(vcpu.refuses(reg_id, 0));
    CHECK(vcpu.refuses(reg_version, 0));
    CHECK(vcpu.refuses(reg_ppr, 0));
    CHECK(vcpu.refuses(reg_ldr, 0));
    CHECK(vcpu.refuses(reg_isr, 0));
    CHECK(vcpu.refuses(reg_current_count, 0));
    CHECK(vcpu.refuses(reg_eoi, 1));
    CHECK(vcpu.refuses(reg_spurious, 0x1000));
    CHECK(vcpu.refuses(reg_spurious, 1ull << 32));
    CHECK(vcpu.refuses(reg_command, 1u << 20));
    CHECK(vcpu.refuses(reg_command, 1u << 12));
    CHECK(vcpu.refuses(reg_lvt_timer, 1u << 18)); // TSC deadline
    CHECK(vcpu.refuses(reg_lvt_error, 1u << 17));
    CHECK(vcpu.refuses(reg_divide, 4));
    CHECK(vcpu.refuses(reg_self_ipi, 0x100));
    for (const u32 offset : {0x0eu, 0x31u, 0x2fu, 0x3au, 0x00u, 0x40u, 0xffu}) {
        CHECK(vcpu.refuses_read(offset));
        CHECK(vcpu.refuses(offset, 0));
    }
    CHECK(vcpu.refuses_read(reg_eoi));
    CHECK(vcpu.refuses_read(reg_self_ipi));
}

TEST_CASE("switched off by software, every local source is masked")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.write(reg_lvt_timer, 0x40);
    CHECK(vcpu.read(reg_lvt_timer) == (kLvtMasked | 0x40));
    vcpu.enable();
    vcpu.write(reg_lvt_timer, 0x40);
    CHECK(vcpu.read(reg_lvt_timer) == 0x40);
    vcpu.apic.set_irq(0x50, false);
    vcpu.write(reg_spurious, 0xff);
    CHECK(vcpu.read(reg_lvt_timer) == (kLvtMasked | 0x40));
    CHECK(vcpu.apic.pending_vector() == -1);
    vcpu.enable();
    CHECK(vcpu.apic.pending_vector() == 0x50); // what was requested is kept
}

TEST_CASE("the legal transitions of APIC_BASE")
{
    Domain domain(1);
    Local_apic& apic = domain[0].apic;
    domain[0].enable();
    domain[0].write(reg_tpr, 0x20);
    CHECK_FALSE(apic.write_msr(kBaseMsr, 0xfee00900)); // to xAPIC
    CHECK_FALSE(apic.write_msr(kBaseMsr, 0xfee00500)); // EXTD without EN
    CHECK_FALSE(apic.write_msr(kBaseMsr, 0xfee00d01)); // reserved
    CHECK(apic.write_msr(kBaseMsr, 0xfee00d00));
    CHECK(domain[0].read(reg_tpr) == 0x20);

    CHECK(apic.write_msr(kBaseMsr, 0xfee00100)); // off
    CHECK(domain[0].tpr == 0);
    CHECK(domain[0].refuses_read(reg_id));
    CHECK_FALSE(apic.write_msr(kBaseMsr, 0xfee00d00)); // not straight back
    CHECK(apic.write_msr(kBaseMsr, 0xfee00900));
    CHECK(domain[0].refuses_read(reg_id));
    CHECK(apic.write_msr(kBaseMsr, 0xfee00d00));
    CHECK(domain[0].read(reg_id) == 0);
    CHECK(domain[0].read(reg_spurious) == 0xff);
}

TEST_CASE("INIT resets everything but the id and the mode")
{
    Domain domain(2);
    Vcpu& vcpu = domain[1];
    vcpu.enable();
    vcpu.write(reg_tpr, 0x30);
    vcpu.write(reg_lvt_timer, kLvtPeriodic | 0xec);
    vcpu.write(reg_initial_count, 100'000);
    vcpu.apic.set_irq(0x44, true);
    vcpu.apic.set_irq(0x99, false);
    vcpu.take();
    vcpu.apic.reset();
    CHECK(vcpu.read(reg_id) == 2);
    CHECK(vcpu.read(reg_spurious) == 0xff);
    CHECK(vcpu.read(reg_tpr) == 0);
    CHECK(vcpu.read(reg_initial_count) == 0);
    for (u32 i = 0; i < 24; ++i)
        CHECK(vcpu.read(reg_isr + i) == 0);
    vcpu.enable();
    domain.clock.advance(10'000'000);
    CHECK(vcpu.take() == -1);
}

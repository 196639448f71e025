// SPDX-License-Identifier: Apache-2.0
//
// The registers of the local APIC in x2APIC mode. [SDM3 11.12; APM2 16.9]
//
// The mode is on, or is switched on, through APIC_BASE; the address cannot move and the mode cannot be left
// for plain xAPIC without going through disabled. ID and LDR agree by the architecture's formula. VERSION
// counts at least the five LVT entries every APIC has. TPR keeps a priority and PPR follows it; CR8 and TPR
// are one register. SVR keeps vector and enable bit. LVT entries keep what is written to them within their
// bits and are masked while the APIC is disabled in software. Reserved registers, reserved bits, reading
// the write-only and writing the read-only registers are #GP, and so is an EOI of anything but 0.
#include "guest/apic.hpp"
#include "guest/cpu.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;

const char* const kTestName = "x2apic";

namespace
{

constexpr u32 kGeneralProtection = 13;

u64 read_cr8()
{
    u64 v;
    asm volatile("mov %%cr8, %0" : "=r"(v));
    return v;
}
void write_cr8(u64 v) { asm volatile("mov %0, %%cr8" : : "r"(v) : "memory"); }

bool read_faults(u32 index)
{
    u64 value = 0;
    return rdmsr_safe(index, value) == kGeneralProtection;
}
bool write_faults(u32 index, u64 value) { return wrmsr_safe(index, value) == kGeneralProtection; }

void check_identity()
{
    const u64 id = rdmsr(apic::id);
    CHECK_EQUAL(rdmsr(apic::ldr), (id >> 4) << 16 | 1u << (id & 15));
    const u64 version = rdmsr(apic::version);
    CHECK((version & 0xff) >= 0x10 && (version & 0xff) <= 0x15);
    CHECK((version >> 16 & 0xff) >= 4);
}

void check_priorities()
{
    wrmsr(apic::tpr, 0x50);
    CHECK_EQUAL(rdmsr(apic::tpr), 0x50);
    CHECK_EQUAL(rdmsr(apic::ppr), 0x50);
    CHECK_EQUAL(read_cr8(), 5);
    write_cr8(9);
    CHECK_EQUAL(rdmsr(apic::tpr) & 0xf0, 0x90);
    wrmsr(apic::tpr, 0);
    CHECK_EQUAL(read_cr8(), 0);
    CHECK(write_faults(apic::tpr, 0x100));
}

void check_vector_table()
{
    wrmsr(apic::lvt_lint0, 0x10000 | 0x77);
    CHECK_EQUAL(rdmsr(apic::lvt_lint0), 0x10000 | 0x77);
    wrmsr(apic::lvt_timer, 0x10000 | 0x20000 | 0x55);
    CHECK_EQUAL(rdmsr(apic::lvt_timer), 0x10000 | 0x20000 | 0x55);
    wrmsr(apic::lvt_lint0, 0x77);
    wrmsr(apic::spurious, 0xff); // disabled: everything is masked
    CHECK_EQUAL(rdmsr(apic::lvt_lint0), 0x10000 | 0x77);
    wrmsr(apic::spurious, 0x1ff);
    CHECK_EQUAL(rdmsr(apic::spurious), 0x1ff);
    CHECK_EQUAL(rdmsr(apic::lvt_lint0) & 0x10000, 0x10000);
}

} // namespace

void test_main()
{
    apic::start();
    const u64 base = rdmsr(apic::base);
    CHECK_EQUAL(base & (apic::kBaseEnable | apic::kBaseX2apic), apic::kBaseEnable | apic::kBaseX2apic);
    CHECK(write_faults(apic::base, base & ~apic::kBaseX2apic));
    CHECK_EQUAL(rdmsr(apic::base), base);

    check_identity();
    check_priorities();
    check_vector_table();

    CHECK(read_faults(apic::eoi));
    CHECK(write_faults(apic::eoi, 1));
    CHECK(!write_faults(apic::eoi, 0));
    CHECK(write_faults(apic::id, 0));
    CHECK(write_faults(apic::version, 0));
    CHECK(write_faults(apic::ldr, 0));
    CHECK(write_faults(apic::isr0, 0));
    CHECK(read_faults(apic::self_ipi));
    CHECK(write_faults(apic::self_ipi, 0x100));
    CHECK(write_faults(apic::esr, 1));
    CHECK(!write_faults(apic::esr, 0));
    for (const u32 index : {0x800u, 0x801u, 0x80eu, 0x831u, 0x840u, 0x8ffu}) {
        if (!read_faults(index))
            NOTE(failure, "the reserved register ", hex(index), " can be read");
    }
    for (u32 i = 0; i < 8; ++i)
        CHECK_EQUAL(rdmsr(apic::irr0 + i), 0);
}

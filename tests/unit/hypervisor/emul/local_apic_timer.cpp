// SPDX-License-Identifier: Apache-2.0
#include "emul/apic_world.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::apic;

TEST_CASE("the timer fires once, by the divided bus clock")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.enable();
    vcpu.write(reg_lvt_timer, 0xec);
    vcpu.write(reg_divide, 0x3); // 16
    vcpu.write(reg_initial_count, 1000);
    CHECK(vcpu.read(reg_current_count) == 1000);
    domain.clock.advance(1000 * 160 - 1);
    CHECK(vcpu.apic.pending_vector() == -1);
    CHECK(vcpu.read(reg_current_count) == 0); // less than a count is left
    domain.clock.advance(1);
    CHECK(vcpu.take() == 0xec);
    vcpu.write(reg_eoi, 0);
    domain.clock.advance(10'000'000);
    CHECK(vcpu.take() == -1);
    CHECK(vcpu.read(reg_current_count) == 0);
}

TEST_CASE("every divide setting")
{
    const u32 setting = GENERATE(0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa, 0xb);
    const std::array<u64, 12> divisor{2, 4, 8, 16, 0, 0, 0, 0, 32, 64, 128, 1};
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.enable();
    vcpu.write(reg_lvt_timer, 0xec);
    vcpu.write(reg_divide, setting);
    vcpu.write(reg_initial_count, 100'000);
    const u64 ns = 100'000 * 10 * divisor[setting]; // cycles of 10 ns
    domain.clock.advance(ns / 2);
    CHECK(vcpu.read(reg_current_count) == 50'000);
    domain.clock.advance(ns / 2 - 1);
    CHECK(vcpu.apic.pending_vector() == -1);
    domain.clock.advance(1);
    CHECK(vcpu.apic.pending_vector() == 0xec);
}

TEST_CASE("a periodic timer keeps its beat, and skips what was missed")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.enable();
    vcpu.write(reg_divide, 0xb);
    vcpu.write(reg_lvt_timer, kLvtPeriodic | 0xec);
    vcpu.write(reg_initial_count, 100'000); // one millisecond
    for (int beat = 0; beat < 5; ++beat) {
        domain.clock.advance(1'000'000);
        CHECK(vcpu.take() == 0xec);
        vcpu.write(reg_eoi, 0);
    }
    vcpu.write(reg_initial_count, 0);
    domain.clock.advance(5'000'000);
    CHECK(vcpu.take() == -1);
}

TEST_CASE("a masked timer runs and says nothing")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.enable();
    vcpu.write(reg_lvt_timer, kLvtMasked | 0xec);
    vcpu.write(reg_initial_count, 10);
    domain.clock.advance(1'000'000);
    CHECK(vcpu.take() == -1);
}

TEST_CASE("a periodic timer cannot be made faster than the host can bear")
{
    Domain domain(1);
    Vcpu& vcpu = domain[0];
    vcpu.enable();
    vcpu.write(reg_divide, 0xb);
    vcpu.write(reg_lvt_timer, kLvtPeriodic | 0xec);
    vcpu.write(reg_initial_count, 1);
    unsigned fired = 0;
    for (int i = 0; i < 1000; ++i) {
        domain.clock.advance(1'000);
        if (vcpu.take() >= 0) {
            ++fired;
            vcpu.write(reg_eoi, 0);
        }
    }
    CHECK(fired <= 11);
    CHECK(fired >= 9);
}

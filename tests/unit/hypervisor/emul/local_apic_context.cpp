// SPDX-License-Identifier: Apache-2.0
#include "emul/apic_world.hpp"

#include <catch2/catch.hpp>

#include <cstring>

#include <xen/hvm/save.h>
#include <xen/xen.h>

using namespace vmm;
using namespace vmm::apic;

TEST_CASE("what is saved and loaded is the same APIC")
{
    Domain domain(2);
    Vcpu& from = domain[1];
    from.enable();
    from.write(reg_lvt_timer, 0xec);
    from.write(reg_divide, 0xb);
    from.write(reg_initial_count, 200'000);
    from.write(reg_tpr, 0x25);
    from.apic.set_irq(0x81, true);
    CHECK(from.take() == 0x81);
    from.apic.set_irq(0x92, false);
    domain.clock.advance(500'000);

    hvm_hw_lapic state{};
    hvm_hw_lapic_regs registers{};
    from.apic.save(state, registers);

    Domain other(2);
    Vcpu& to = other[1];
    REQUIRE(to.apic.load(state, registers));
    CHECK(to.wakes == 1);
    for (u32 offset = 0; offset < 0x3f; ++offset) {
        if (from.refuses_read(offset))
            continue;
        INFO("register " << offset);
        CHECK(to.read(offset) == from.read(offset));
    }
    CHECK(to.take() == 0x92);
    to.write(reg_eoi, 0);
    to.write(reg_eoi, 0);
    CHECK(to.level_ends == std::vector<u8>{0x81});
    other.clock.advance(1'499'999);
    CHECK(to.take() == -1);
    other.clock.advance(1);
    CHECK(to.take() == 0xec);

    SECTION("a record with reserved bits changes nothing")
    {
        state.apic_base_msr |= 1;
        CHECK_FALSE(to.apic.load(state, registers));
        state.apic_base_msr &= ~1ull;
        const u32 tsc_deadline = 1u << 18;
        std::memcpy(&registers.data[reg_lvt_timer * 16], &tsc_deadline, 4);
        CHECK_FALSE(to.apic.load(state, registers));
        CHECK(to.read(reg_lvt_timer) == 0xec);
    }
}

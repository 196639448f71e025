// SPDX-License-Identifier: Apache-2.0
//
// What of the machine shows in dom0's memory map: a real map, over a machine with RAM below and above 4 GiB.
#include "emul/host_access.hpp"

#include "arch/x86/cpu/host_paging.hpp"
#include "arch/x86/cpu/port_io.hpp"
#include "boot/boot_state.hpp"
#include "world.hpp"

#include <catch2/catch.hpp>

namespace vmm
{

Boot_state boot_state;
Expected<void> map_device_memory(Hpa, u64) { return {}; }

u8 in8(u16) { return 0xff; }
u16 in16(u16) { return 0xffff; }
u32 in32(u16) { return 0xffffffff; }
void out8(u16, u8) {}
void out16(u16, u16) {}
void out32(u16, u32) {}

} // namespace vmm

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr Gpa kLocalApic{0xfee00000};
constexpr Gpa kFar{0xc000000000};

struct Dom0 {
    World world;
    Ref<Domain> domain;

    Dom0()
    {
        boot_state.memory.truncate(0);
        boot_state.memory.push({Hpa(0), kGiB, Memory_type::ram});
        boot_state.memory.push({Hpa(4 * kGiB), kGiB, Memory_type::ram});
        boot_state.memory.push({Hpa(6 * kGiB + 0x5000), kGiB, Memory_type::ram});
        boot_state.madt.local_apic_address = Hpa(kLocalApic.value());

        const Domain_identity identity{Domid(0), true, true, {}};
        auto created = Domain::create(identity, 64, 1, 1);
        REQUIRE(created);
        domain = std::move(*created);
    }
    ~Dom0()
    {
        while (!domain->kill()) {
        }
    }
    Dom0(const Dom0&)            = delete;
    Dom0& operator=(const Dom0&) = delete;

    bool touch(Gpa gpa) { return host_access::give_on_touch(*domain, gpa); }
    // Whether it shows the machine, and in pages of which order.
    std::optional<unsigned> shown(Gpa gpa)
    {
        const P2m_entry at = domain->p2m().lookup(to_gfn(gpa));
        if (!is_mmio(at.type))
            return std::nullopt;
        CHECK(at.mfn.value() == to_gfn(gpa).value());
        return at.order;
    }
};

} // namespace

TEST_CASE("device memory is mapped when it is touched, in large pages where there is no RAM")
{
    Dom0 dom0;
    CHECK(dom0.touch(kFar + 0x12345));
    CHECK(dom0.shown(kFar) == kOrder2m);
    CHECK(dom0.touch(kFar)); // by another CPU at the same time
    CHECK_FALSE(dom0.shown(kFar + (2 << 20)));

    CHECK(dom0.touch(Gpa(5 * kGiB))); // between RAM and RAM
    CHECK(dom0.shown(Gpa(5 * kGiB)) == kOrder2m);
    CHECK(dom0.touch(Gpa(6 * kGiB)));
    CHECK(dom0.shown(Gpa(6 * kGiB)) == kOrder4k);
}

TEST_CASE("neither RAM nor the local APIC is a device")
{
    Dom0 dom0;
    for (const Gpa gpa : {Gpa(0x1000), Gpa(5 * kGiB - 1), Gpa(6 * kGiB + 0x5000), kLocalApic}) {
        CHECK_FALSE(dom0.touch(gpa));
        CHECK_FALSE(dom0.shown(gpa));
    }
    CHECK(host_access::trap(*dom0.domain, Gfn(0x40000 - 1), 2).error() == Errc::ebusy);
    CHECK(host_access::give(*dom0.domain, Gfn(0x40000 - 1), 2).error() == Errc::ebusy);
    CHECK_FALSE(dom0.touch(Gpa((P2m::kLastGfn + 1) << kPageShift)));
    CHECK_FALSE(host_access::give_on_touch(dom0.world.make(1), kFar));
}

TEST_CASE("a trapped page stays so, whatever is touched next to it")
{
    Dom0 dom0;
    REQUIRE(host_access::trap(*dom0.domain, to_gfn(kFar + 0x3000), 2));
    CHECK(dom0.touch(kFar));
    CHECK(dom0.shown(kFar) == kOrder4k);
    CHECK_FALSE(dom0.shown(kFar + 0x3000));
    CHECK_FALSE(dom0.shown(kFar + 0x4000));

    REQUIRE(dom0.touch(kFar + (2 << 20))); // and the other way round
    REQUIRE(host_access::trap(*dom0.domain, to_gfn(kFar + (2 << 20)), 1));
    CHECK_FALSE(dom0.shown(kFar + (2 << 20)));
    CHECK(dom0.shown(kFar + (2 << 20) + 0x1000) == kOrder4k);
    REQUIRE(host_access::give(*dom0.domain, to_gfn(kFar + (2 << 20)), 1));
    CHECK(dom0.shown(kFar + (2 << 20)) == kOrder4k);
}

TEST_CASE("a device below 4 GiB that a page was placed on is found again")
{
    Dom0 dom0;
    P2m& p2m = dom0.domain->p2m();
    const Gpa device(0xd0000000);
    REQUIRE(p2m.set_identity(to_gfn(device), 512, P2m_type::mmio));
    REQUIRE(p2m.add_page(to_gfn(device), dom0.domain->shared_mfn(), P2m_type::ram));
    REQUIRE(p2m.remove(to_gfn(device), kOrder4k));
    CHECK_FALSE(dom0.shown(device));
    CHECK(dom0.touch(device));
    CHECK(dom0.shown(device) == kOrder4k);
}

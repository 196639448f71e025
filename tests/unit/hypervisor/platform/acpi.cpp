// SPDX-License-Identifier: Apache-2.0
#include "platform/acpi.hpp"
#include "bytes.hpp"
#include "platform/boot_info.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <string>

using namespace vmm;
using vmm::test::Bytes;
using vmm::test::Memory;

namespace
{

void fix_checksum(Bytes& b, std::size_t at, std::size_t length)
{
    b.data()[at] = 0;
    u8 sum       = 0;
    for (std::size_t i = 0; i < length; ++i)
        sum = static_cast<u8>(sum + b.data()[i]);
    b.data()[at] = static_cast<u8>(-sum);
}

Bytes table(std::string_view signature, const Bytes& body)
{
    Bytes b;
    b.text(signature).add(static_cast<u32>(36 + body.size())).add(u8{1}).add(u8{0}).text("PLINTHPLINTHTS");
    b.zeros(36 - b.size()).append(body);
    fix_checksum(b, 9, b.size());
    return b;
}

Bytes rsdp(u64 xsdt, u32 rsdt, u8 revision = 2)
{
    Bytes b;
    b.text("RSD PTR ").add(u8{0}).text("VENDOR").add(revision).add(rsdt).add(u32{36}).add(xsdt).zeros(4);
    fix_checksum(b, 8, 20);
    fix_checksum(b, 32, 36);
    return b;
}

Bytes madt_body()
{
    Bytes b;
    b.add(u32{0xfee00000}).add(u32{1});
    b.add(u8{0}).add(u8{8}).add(u8{0}).add(u8{0}).add(u32{1});                  // local APIC 0
    b.add(u8{0}).add(u8{8}).add(u8{1}).add(u8{2}).add(u32{0});                  // disabled
    b.add(u8{9}).add(u8{16}).add(u16{0}).add(u32{300}).add(u32{1}).add(u32{7}); // x2APIC
    b.add(u8{9}).add(u8{16}).add(u16{0}).add(u32{0}).add(u32{1}).add(u32{0});   // the first once more
    b.add(u8{1}).add(u8{12}).add(u8{5}).add(u8{0}).add(u32{0xfec00000}).add(u32{0});
    b.add(u8{2}).add(u8{10}).add(u8{0}).add(u8{9}).add(u32{9}).add(u16{0xd}); // ISA 9: high, level
    b.add(u8{2}).add(u8{10}).add(u8{0}).add(u8{0}).add(u32{2}).add(u16{0});
    b.add(u8{3}).add(u8{8}).add(u16{5}).add(u32{23});
    b.add(u8{4}).add(u8{6}).add(u8{0xff}).add(u16{0}).add(u8{1});
    b.add(u8{0x7f}).add(u8{5}).zeros(3); // a kind nobody knows
    b.add(u8{5}).add(u8{12}).add(u16{0}).add(u64{0x1fee00000});
    return b;
}

struct Machine {
    Memory memory;
    Boot_info boot;
    Acpi_tables tables;

    Machine()
    {
        memory.put(0x1000, table("XSDT", Bytes().add(u64{0x2000}).add(u64{0}).add(u64{0x3000})));
        memory.put(0x1800, table("RSDT", Bytes().add(u32{0x3000})));
        memory.put(0x2000, table("APIC", madt_body()));
        memory.put(0x3000, table("MCFG", Bytes()
                                             .zeros(8)
                                             .add(u64{0xb0000000})
                                             .add(u16{0})
                                             .add(u8{0})
                                             .add(u8{255})
                                             .zeros(4)
                                             .add(u64{0xc0000000})
                                             .add(u16{1})
                                             .add(u8{9})
                                             .add(u8{3})
                                             .zeros(4)));
        memory.put(0xf0010, rsdp(0x1000, 0x1800));
    }
    Expected<void> read()
    {
        const Acpi_root root = TRY(find_acpi_root(boot, memory));
        return read_acpi_tables(root, memory, tables);
    }
};

} // namespace

TEST_CASE("acpi: root pointer from the loader, the EBDA or the BIOS area")
{
    SECTION("BIOS area")
    {
        Machine m;
        const auto root = find_acpi_root(m.boot, m.memory);
        REQUIRE(root);
        CHECK(root->xsdt == Hpa(0x1000));
        CHECK(root->rsdt == Hpa(0x1800));
        CHECK(std::string(root->oem_id.data(), 6) == "VENDOR");
    }
    SECTION("EBDA first")
    {
        Machine m;
        m.memory.put(0x40e, Bytes().add(u16{0x9fc0}));
        m.memory.put(0x9fc20, rsdp(0x7777, 0));
        CHECK(find_acpi_root(m.boot, m.memory)->xsdt == Hpa(0x7777));
    }
    SECTION("the loader's copy wins")
    {
        Machine m;
        const Bytes given = rsdp(0x8888, 0);
        std::copy(given.data().begin(), given.data().end(), m.boot.rsdp.begin());
        m.boot.rsdp_size = 36;
        CHECK(find_acpi_root(m.boot, m.memory)->xsdt == Hpa(0x8888));
        m.boot.rsdp[10] ^= 1; // corrupt: search instead
        CHECK(find_acpi_root(m.boot, m.memory)->xsdt == Hpa(0x1000));
    }
    SECTION("version 1 has no XSDT")
    {
        Machine m;
        m.memory.put(0xf0010, rsdp(0x1000, 0x1800, 0));
        CHECK(find_acpi_root(m.boot, m.memory)->xsdt == Hpa(0));
    }
    SECTION("none")
    {
        Memory empty;
        CHECK(find_acpi_root({}, empty).error() == Errc::enoent);
    }
}

TEST_CASE("acpi: tables of the XSDT, of the RSDT when that is corrupt")
{
    Machine m;
    REQUIRE(m.read());
    CHECK(m.tables.tables.size() == 2);
    REQUIRE(m.tables.find("MCFG"));
    CHECK(m.tables.find("MCFG")->address == Hpa(0x3000));
    CHECK(m.tables.find("FACP") == nullptr);

    Machine broken;
    Bytes xsdt = table("XSDT", Bytes().add(u64{0x2000}));
    xsdt.data()[20] ^= 0xff;
    broken.memory.put(0x1000, xsdt);
    REQUIRE(broken.read());
    REQUIRE(broken.tables.tables.size() == 1);
    CHECK(broken.tables.tables[0].name() == "MCFG");
}

TEST_CASE("acpi: a corrupt or unreadable table is left out, the others stay")
{
    Machine m;
    Bytes bad = table("APIC", madt_body());
    bad.data()[50] ^= 1;
    m.memory.put(0x2000, bad);
    REQUIRE(m.read());
    CHECK(m.tables.find("APIC") == nullptr);
    CHECK(m.tables.find("MCFG") != nullptr);

    Machine huge;
    Bytes long_one = table("APIC", madt_body());
    long_one.put(4, u32{0xffffffff});
    huge.memory.put(0x2000, long_one);
    REQUIRE(huge.read());
    CHECK(huge.tables.tables.size() == 1);
}

TEST_CASE("acpi: no usable root table is an error")
{
    Machine m;
    m.memory.put(0x1000, Bytes().zeros(64));
    m.memory.put(0x1800, Bytes().zeros(64));
    CHECK(m.read().error() == Errc::einval);
}

TEST_CASE("acpi: MADT")
{
    Machine m;
    REQUIRE(m.read());
    Madt_info madt;
    REQUIRE(read_madt(m.tables, m.memory, madt));
    CHECK(madt.local_apic_address == Hpa(0x1fee00000));
    REQUIRE(madt.cpus.size() == 2);
    CHECK(madt.cpus[0].apic_id == 0);
    CHECK(madt.cpus[1].apic_id == 300);
    CHECK(madt.cpus[1].uid == 7);
    REQUIRE(madt.io_apics.size() == 1);
    CHECK(madt.io_apics[0].id == 5);
    CHECK(madt.io_apics[0].address == Hpa(0xfec00000));
    REQUIRE(madt.overrides.size() == 2);
    CHECK(madt.overrides[0].source == 9);
    CHECK_FALSE(madt.overrides[0].is_active_low());
    CHECK(madt.overrides[0].is_level_triggered());
    CHECK(madt.overrides[1].gsi == 2);
    CHECK_FALSE(madt.overrides[1].is_level_triggered());
}

TEST_CASE("acpi: MADT records with impossible lengths end the walk")
{
    for (const u8 length : {0, 1, 7, 200}) {
        Machine m;
        m.memory.put(0x2000, table("APIC", Bytes()
                                               .add(u32{0xfee00000})
                                               .add(u32{0})
                                               .add(u8{1})
                                               .add(u8{12})
                                               .add(u8{5})
                                               .add(u8{0})
                                               .add(u32{0xfec00000})
                                               .add(u32{0})
                                               .add(u8{2})
                                               .add(length)
                                               .zeros(6)));
        REQUIRE(m.read());
        Madt_info madt;
        REQUIRE(read_madt(m.tables, m.memory, madt));
        CHECK(madt.io_apics.size() == 1);
        CHECK(madt.overrides.empty());
    }
    Machine none;
    none.memory.put(0x2000, table("APIC", Bytes().zeros(4)));
    REQUIRE(none.read());
    Madt_info madt;
    CHECK(read_madt(none.tables, none.memory, madt).error() == Errc::einval);
}

TEST_CASE("acpi: random MADTs are survived")
{
    std::mt19937 random(11);
    for (int i = 0; i < 5000; ++i) {
        Bytes body = madt_body();
        for (int k = 0; k < 5; ++k)
            body.data()[random() % body.size()] = static_cast<u8>(random());
        Machine m;
        m.memory.put(0x2000, table("APIC", body));
        REQUIRE(m.read());
        Madt_info madt;
        CHECK(read_madt(m.tables, m.memory, madt));
        CHECK(madt.overrides.size() <= 16);
    }
}

TEST_CASE("acpi: MCFG, without the entry that makes no sense")
{
    Machine m;
    REQUIRE(m.read());
    Mcfg_info mcfg;
    REQUIRE(read_mcfg(m.tables, m.memory, mcfg));
    REQUIRE(mcfg.size() == 1);
    CHECK(mcfg[0].address == 0xb0000000);
    CHECK(mcfg[0].last_bus == 255);
}

TEST_CASE("acpi: FADT, old fields and new")
{
    Bytes body     = Bytes().zeros(244 - 36);
    const auto put = [&](std::size_t offset, auto value) { body.put(offset - 36, value); };
    put(40, u32{0x5000}); // DSDT
    put(46, u16{9});      // SCI
    put(64, u32{0x604});  // PM1a control block
    put(76, u32{0x608});  // PM timer
    put(88, u8{4});
    put(89, u8{2});
    put(91, u8{4});
    put(108, u8{0x32});
    put(112, u32{1u << 8 | 1u << 10});
    put(116, u8{1}); // reset register: port 0xcf9
    put(117, u8{8});
    put(120, u64{0xcf9});
    put(128, u8{6});

    Machine m;
    m.memory.put(0x3000, table("FACP", body));
    REQUIRE(m.read());
    auto fadt = read_fadt(m.tables, m.memory);
    REQUIRE(fadt);
    CHECK(fadt->dsdt == Hpa(0x5000));
    CHECK(fadt->pm_timer.address == 0x608);
    CHECK(fadt->pm_timer_is_32_bits());
    CHECK(fadt->pm1a_control.address == 0x604);
    CHECK_FALSE(fadt->pm1b_control.present());
    CHECK(fadt->can_reset());
    CHECK(fadt->reset_value == 6);
    CHECK(fadt->century == 0x32);

    put(140, u64{0x123456789000});
    put(208, u8{1});
    put(212, u64{0x1808});
    m.memory.put(0x3000, table("FACP", body));
    Machine newer;
    newer.memory.put(0x3000, table("FACP", body));
    REQUIRE(newer.read());
    auto x = read_fadt(newer.tables, newer.memory);
    REQUIRE(x);
    CHECK(x->dsdt == Hpa(0x123456789000));
    CHECK(x->pm_timer.address == 0x1808);

    Machine old; // ACPI 1.0: nothing after the flags
    Bytes short_body;
    short_body.data().assign(body.data().begin(), body.data().begin() + 116 - 36);
    old.memory.put(0x3000, table("FACP", short_body));
    REQUIRE(old.read());
    auto o = read_fadt(old.tables, old.memory);
    REQUIRE(o);
    CHECK_FALSE(o->can_reset());
    CHECK(o->pm_timer.address == 0x608);
}

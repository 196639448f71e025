// SPDX-License-Identifier: Apache-2.0
//
// The tables written for dom0, read back with the hypervisor's own parser.
#include "dom0/acpi_tables.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <vector>

using namespace vmm;

namespace
{

constexpr Gpa kAt{0x12340000};

class Image final : public Physical_reader
{
  public:
    explicit Image(const std::vector<u8>& bytes) : bytes_(bytes) {}
    bool read(Hpa from, std::span<u8> to) const override
    {
        const u64 offset = from.value() - kAt.value();
        if (offset > bytes_.size() || to.size() > bytes_.size() - offset)
            return false;
        std::memcpy(to.data(), bytes_.data() + offset, to.size());
        return true;
    }

  private:
    const std::vector<u8>& bytes_;
};

Acpi_table table(const char* name, u64 at)
{
    Acpi_table t{{}, Hpa(at), 100};
    std::memcpy(t.signature.data(), name, 4);
    return t;
}

Acpi_tables host_tables()
{
    Acpi_tables host;
    host.root.oem_id = {'A', 'C', 'M', 'E', ' ', ' '};
    u64 at           = 0x7ff00000;
    for (const char* name : {"FACP", "APIC", "HPET", "MCFG", "DMAR", "SSDT", "SSDT", "SRAT", "IVRS", "BGRT"})
        host.tables.push(table(name, at += 0x1000));
    return host;
}

u64 entry(const std::vector<u8>& image, u64 xsdt, unsigned i)
{
    u64 value;
    std::memcpy(&value, &image[xsdt + 36 + 8 * i], 8);
    return value;
}

u8 sum(const u8* at, std::size_t n)
{
    u8 total = 0;
    for (std::size_t i = 0; i < n; ++i)
        total = static_cast<u8>(total + at[i]);
    return total;
}

} // namespace

TEST_CASE("dom0 sees the tables of what it has, and a MADT of its own")
{
    const auto host = host_tables();
    Madt_info madt;
    madt.local_apic_address = Hpa(0xfee00000);
    madt.io_apics.push({3, Hpa(0xfec00000), 0});
    madt.io_apics.push({4, Hpa(0xfec10000), 24});
    madt.overrides.push({0, 2, 0});
    madt.overrides.push({9, 9, 0xf});

    std::vector<u8> image(dom0_acpi_size(host, madt, 2));
    REQUIRE(build_dom0_acpi(host, madt, 2, kAt, image));

    CHECK(std::memcmp(image.data(), "RSD PTR ", 8) == 0);
    CHECK(sum(image.data(), 20) == 0);
    CHECK(sum(image.data(), 36) == 0);
    u64 xsdt;
    std::memcpy(&xsdt, &image[24], 8);
    xsdt -= kAt.value();
    u32 length;
    std::memcpy(&length, &image[xsdt + 4], 4);
    CHECK(sum(&image[xsdt], length) == 0);
    REQUIRE(length == 36 + 8 * 5);
    CHECK(entry(image, xsdt, 1) == 0x7ff01000); // FACP
    CHECK(entry(image, xsdt, 2) == 0x7ff04000); // MCFG
    CHECK(entry(image, xsdt, 3) == 0x7ff06000); // both SSDTs
    CHECK(entry(image, xsdt, 4) == 0x7ff07000);

    // The MADT, through the parser.
    const u64 madt_at = entry(image, xsdt, 0);
    u32 madt_length;
    std::memcpy(&madt_length, &image[madt_at - kAt.value() + 4], 4);
    CHECK(sum(&image[madt_at - kAt.value()], madt_length) == 0);
    Acpi_tables own;
    Acpi_table t{{'A', 'P', 'I', 'C'}, Hpa(madt_at), madt_length};
    own.tables.push(t);
    Madt_info seen;
    REQUIRE(read_madt(own, Image(image), seen));
    CHECK(seen.local_apic_address == Hpa(0xfee00000));
    const auto own_madt = [&]<class T>(u64 offset, T) {
        T value;
        std::memcpy(&value, &image[madt_at - kAt.value() + offset], sizeof value);
        return value;
    };
    CHECK(own_madt(40, u32{}) == 0); // no 8259
    for (u32 i = 0; i < 2; ++i) {
        const u64 x2apic = 44 + 16 * i;
        CHECK(own_madt(x2apic, u16{}) == 0x1009);    // type and length
        CHECK(own_madt(x2apic + 4, u32{}) == 2 * i); // APIC id
        CHECK(own_madt(x2apic + 8, u32{}) == 1);     // enabled
        CHECK(own_madt(x2apic + 12, u32{}) == i);    // processor uid
    }
    REQUIRE(seen.io_apics.size() == 2);
    CHECK(seen.io_apics[1].id == 4);
    CHECK(seen.io_apics[1].address == Hpa(0xfec10000));
    CHECK(seen.io_apics[1].gsi_base == 24);
    REQUIRE(seen.overrides.size() == 2);
    CHECK(seen.overrides[0].gsi == 2);
    CHECK(seen.overrides[1].is_active_low());
    CHECK(seen.overrides[1].is_level_triggered());
}

TEST_CASE("too little room is refused")
{
    const auto host = host_tables();
    const Madt_info madt;
    std::vector<u8> image(dom0_acpi_size(host, madt, 2) - 1);
    CHECK(build_dom0_acpi(host, madt, 2, kAt, image).error() == Errc::enobufs);
}

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/acpi_tables.hpp"

#include "toolstack/build/byte_view.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <string>

using namespace vmm;

namespace
{

constexpr std::uint64_t kAddress = 0xfc000000;

unsigned sum(Byte_view bytes)
{
    unsigned total = 0;
    for (const std::byte byte : bytes) {
        total += std::to_integer<unsigned>(byte);
    }
    return total & 0xff;
}

// The block as a guest reads it: RSDP, XSDT, then whatever that lists, and the DSDT behind the FADT.
struct Reader {
    std::vector<std::byte> block;

    explicit Reader(unsigned vcpus) : block(make_acpi_tables(kAddress, vcpus)) {}

    Byte_view table(std::uint64_t address) const
    {
        const auto length = read_at<std::uint32_t>(block, address - kAddress + 4);
        REQUIRE(length);
        const auto bytes = slice(block, address - kAddress, *length);
        REQUIRE(bytes);
        CHECK(sum(*bytes) == 0);
        return *bytes;
    }
    static std::string signature(Byte_view table) { return {reinterpret_cast<const char*>(table.data()), 4}; }
    std::map<std::string, Byte_view> listed() const
    {
        const Byte_view xsdt = table(*read_at<std::uint64_t>(block, 24));
        REQUIRE(signature(xsdt) == "XSDT");
        std::map<std::string, Byte_view> tables;
        for (std::size_t at = 36; at + 8 <= xsdt.size(); at += 8) {
            const Byte_view found    = table(*read_at<std::uint64_t>(xsdt, at));
            tables[signature(found)] = found;
        }
        return tables;
    }
};

} // namespace

TEST_CASE("the RSDP is whole")
{
    const Reader reader(1);
    CHECK(std::string(reinterpret_cast<const char*>(reader.block.data()), 8) == "RSD PTR ");
    CHECK(sum(Byte_view(reader.block).first(20)) == 0);
    CHECK(sum(Byte_view(reader.block).first(36)) == 0);
    CHECK(read_at<std::uint8_t>(reader.block, 15) == 2);
}

TEST_CASE("FADT: hardware-reduced, without the devices of a PC")
{
    const Reader reader(1);
    const auto tables    = reader.listed();
    const Byte_view fadt = tables.at("FACP");
    CHECK(fadt.size() == 276);
    const auto flags = read_at<std::uint32_t>(fadt, 112);
    CHECK((*flags & 1U << 20) != 0); // HW_REDUCED_ACPI
    const auto boot = read_at<std::uint16_t>(fadt, 109);
    CHECK((*boot & 0x3) == 0);                     // no legacy devices, no 8042
    CHECK((*boot & 1U << 2) != 0);                 // no VGA
    CHECK((*boot & 1U << 5) != 0);                 // no CMOS clock
    CHECK(read_at<std::uint32_t>(fadt, 76) == 0U); // no power management timer block
    const Byte_view dsdt = reader.table(*read_at<std::uint64_t>(fadt, 140));
    CHECK(Reader::signature(dsdt) == "DSDT");
    CHECK(read_at<std::uint32_t>(fadt, 40) == read_at<std::uint64_t>(fadt, 140));
}

TEST_CASE("MADT: a local APIC for each vCPU, UID n and id 2n, in the wide form where the narrow one ends")
{
    const unsigned vcpus = GENERATE(1U, 2U, 64U, 127U, 128U, 300U);
    const Reader reader(vcpus);
    const auto tables    = reader.listed();
    const Byte_view madt = tables.at("APIC");
    CHECK(read_at<std::uint32_t>(madt, 36) == 0xfee00000U);
    CHECK(read_at<std::uint32_t>(madt, 40) == 0U); // no PCAT_COMPAT
    unsigned seen = 0;
    for (std::size_t at = 44; at < madt.size();) {
        const unsigned type   = *read_at<std::uint8_t>(madt, at);
        const unsigned length = *read_at<std::uint8_t>(madt, at + 1);
        REQUIRE((type == 0 || type == 9));
        const bool wide = type == 9;
        CHECK(length == (wide ? 16 : 8));
        CHECK(wide == (2 * seen >= 255));
        CHECK((wide ? *read_at<std::uint32_t>(madt, at + 12) : *read_at<std::uint8_t>(madt, at + 2)) == seen);
        CHECK((wide ? *read_at<std::uint32_t>(madt, at + 4) : *read_at<std::uint8_t>(madt, at + 3)) ==
              2 * seen);
        CHECK((wide ? *read_at<std::uint32_t>(madt, at + 8) : *read_at<std::uint32_t>(madt, at + 4)) == 1);
        at += length;
        ++seen;
    }
    CHECK(seen == vcpus);
}

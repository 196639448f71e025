// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/acpi_tables.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

namespace vmm
{

namespace
{

// [ACPI 6.0, 5.2.5.3]
struct [[gnu::packed]] Rsdp {
    char signature[8];
    std::uint8_t checksum; // of the first 20 bytes
    char oem_id[6];
    std::uint8_t revision;
    std::uint32_t rsdt;
    std::uint32_t length;
    std::uint64_t xsdt;
    std::uint8_t extended_checksum; // of all
    std::uint8_t reserved[3];
};
static_assert(sizeof(Rsdp) == 36);

// [ACPI 6.0, 5.2.6]
struct [[gnu::packed]] Header {
    char signature[4];
    std::uint32_t length;
    std::uint8_t revision;
    std::uint8_t checksum;
    char oem_id[6];
    char oem_table_id[8];
    std::uint32_t oem_revision;
    char creator_id[4];
    std::uint32_t creator_revision;
};
static_assert(sizeof(Header) == 36);

struct [[gnu::packed]] Xsdt {
    Header header;
    std::uint64_t fadt;
    std::uint64_t madt;
};

// [ACPI 6.0, 5.2.9]; all fields that hardware-reduced ACPI ignores stay zero and are left unnamed.
struct [[gnu::packed]] Fadt {
    Header header;
    std::uint32_t firmware_ctrl;
    std::uint32_t dsdt;
    std::uint8_t ignored_1[65];
    std::uint16_t iapc_boot_arch;
    std::uint8_t reserved_1;
    std::uint32_t flags;
    std::uint8_t ignored_2[15];
    std::uint8_t minor_version;
    std::uint64_t x_firmware_ctrl;
    std::uint64_t x_dsdt;
    std::uint8_t ignored_3[120];
    char hypervisor_vendor[8];
};
static_assert(sizeof(Fadt) == 276);
static_assert(offsetof(Fadt, iapc_boot_arch) == 109 && offsetof(Fadt, flags) == 112);
static_assert(offsetof(Fadt, minor_version) == 131 && offsetof(Fadt, x_dsdt) == 140);
static_assert(offsetof(Fadt, hypervisor_vendor) == 268);

constexpr std::uint16_t kNoVga              = 1 << 2;
constexpr std::uint16_t kNoAspm             = 1 << 4;
constexpr std::uint16_t kNoCmosRtc          = 1 << 5;
constexpr std::uint32_t kWbinvdWorks        = 1 << 0;
constexpr std::uint32_t kNoFixedPowerButton = 1 << 4;
constexpr std::uint32_t kNoFixedSleepButton = 1 << 5;
constexpr std::uint32_t kNoFixedRtcWake     = 1 << 6;
constexpr std::uint32_t kHardwareReduced    = 1 << 20;

// [ACPI 6.0, 5.2.12]
struct [[gnu::packed]] Madt {
    Header header;
    std::uint32_t local_apic_address;
    std::uint32_t flags; // PCAT_COMPAT stays 0: there is no 8259
};
struct [[gnu::packed]] Local_apic {
    std::uint8_t type;
    std::uint8_t length;
    std::uint8_t uid;
    std::uint8_t apic_id;
    std::uint32_t flags;
};
struct [[gnu::packed]] Local_x2apic {
    std::uint8_t type;
    std::uint8_t length;
    std::uint16_t reserved;
    std::uint32_t apic_id;
    std::uint32_t flags;
    std::uint32_t uid;
};
static_assert(sizeof(Madt) == 44 && sizeof(Local_apic) == 8 && sizeof(Local_x2apic) == 16);

constexpr std::uint32_t kLocalApicAddress = 0xfee00000;
constexpr std::uint32_t kFirstX2apicId    = 255; // the 8-bit entry's 255 means "all processors"
constexpr std::uint32_t kEnabled          = 1;

std::uint8_t checksum(std::span<const std::byte> bytes)
{
    unsigned sum = 0;
    for (const std::byte byte : bytes) {
        sum += std::to_integer<unsigned>(byte);
    }
    return static_cast<std::uint8_t>(-sum);
}

template <std::size_t N>
void put(char (&field)[N], std::string_view text)
{
    std::fill(std::begin(field), std::end(field), ' ');
    std::copy_n(text.begin(), std::min(N, text.size()), std::begin(field));
}

Header make_header(std::string_view signature, std::uint8_t revision)
{
    Header header{};
    put(header.signature, signature);
    header.revision = revision;
    put(header.oem_id, "PLINTH");
    put(header.oem_table_id, "PVHGUEST");
    header.oem_revision = 1;
    put(header.creator_id, "VMM");
    header.creator_revision = 1;
    return header;
}

// Collects tables at increasing addresses; each starts on a 16-byte boundary.
class Block
{
  public:
    explicit Block(std::uint64_t address) : address_(address) {}

    template <class T>
    std::size_t append(const T& value)
    {
        const std::size_t at = bytes_.size();
        bytes_.resize(at + sizeof(T));
        std::memcpy(bytes_.data() + at, &value, sizeof(T));
        return at;
    }
    void align() { bytes_.resize((bytes_.size() + 15) & ~std::size_t{15}); }
    [[nodiscard]] std::uint64_t address_at(std::size_t offset) const { return address_ + offset; }
    [[nodiscard]] std::span<std::byte> from(std::size_t offset) { return std::span(bytes_).subspan(offset); }

    // Ends the table that began at `offset`: fills in its length and checksum.
    std::uint64_t finish(std::size_t offset)
    {
        const auto table  = from(offset);
        const auto length = static_cast<std::uint32_t>(table.size());
        std::memcpy(&table[offsetof(Header, length)], &length, sizeof length);
        table[offsetof(Header, checksum)] = std::byte{checksum(table)};
        align();
        return address_at(offset);
    }
    std::vector<std::byte> take() { return std::move(bytes_); }

  private:
    std::uint64_t address_;
    std::vector<std::byte> bytes_;
};

std::uint64_t add_dsdt(Block& block)
{
    // No AML at all: there is no device that a domain could find only through ACPI.
    return block.finish(block.append(make_header("DSDT", 2)));
}

std::uint64_t add_fadt(Block& block, std::uint64_t dsdt)
{
    Fadt fadt{};
    fadt.header         = make_header("FACP", 6);
    fadt.dsdt           = static_cast<std::uint32_t>(dsdt);
    fadt.x_dsdt         = dsdt;
    fadt.iapc_boot_arch = kNoVga | kNoAspm | kNoCmosRtc;
    fadt.flags =
        kWbinvdWorks | kNoFixedPowerButton | kNoFixedSleepButton | kNoFixedRtcWake | kHardwareReduced;
    put(fadt.hypervisor_vendor, "PLINTH");
    return block.finish(block.append(fadt));
}

std::uint64_t add_madt(Block& block, unsigned vcpus)
{
    Madt madt{};
    madt.header             = make_header("APIC", 4);
    madt.local_apic_address = kLocalApicAddress;
    const std::size_t start = block.append(madt);
    for (unsigned vcpu = 0; vcpu < vcpus; ++vcpu) {
        const std::uint32_t id = apic_id_of(vcpu);
        if (id < kFirstX2apicId) {
            block.append(Local_apic{0, sizeof(Local_apic), static_cast<std::uint8_t>(vcpu),
                                    static_cast<std::uint8_t>(id), kEnabled});
        } else {
            block.append(Local_x2apic{9, sizeof(Local_x2apic), 0, id, kEnabled, vcpu});
        }
    }
    return block.finish(start);
}

} // namespace

std::vector<std::byte> make_acpi_tables(std::uint64_t address, unsigned vcpus)
{
    Block block(address);
    block.append(Rsdp{});
    block.align();
    const std::uint64_t dsdt = add_dsdt(block);
    Xsdt xsdt{};
    xsdt.header = make_header("XSDT", 1);
    xsdt.fadt   = add_fadt(block, dsdt);
    xsdt.madt   = add_madt(block, vcpus);

    Rsdp rsdp{};
    put(rsdp.signature, "RSD PTR ");
    put(rsdp.oem_id, "PLINTH");
    rsdp.revision          = 2;
    rsdp.length            = sizeof(Rsdp);
    rsdp.xsdt              = block.finish(block.append(xsdt));
    auto* bytes            = reinterpret_cast<const std::byte*>(&rsdp);
    rsdp.checksum          = checksum({bytes, offsetof(Rsdp, length)});
    rsdp.extended_checksum = checksum({bytes, sizeof rsdp});
    std::memcpy(block.from(0).data(), &rsdp, sizeof rsdp);
    return block.take();
}

} // namespace vmm

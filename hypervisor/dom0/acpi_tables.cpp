// SPDX-License-Identifier: Apache-2.0
#include "dom0/acpi_tables.hpp"

#include "base/bits.hpp"
#include "base/string.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

constexpr std::string_view kAllowed[] = {"FACP", "FACS", "DSDT", "PSDT", "SSDT", "SBST",
                                         "MCFG", "SLIC", "MSDM", "WDAT", "FPDT", "S3PT"};

struct [[gnu::packed]] Rsdp {
    char signature[8];
    u8 checksum;
    std::array<char, 6> oem_id;
    u8 revision;
    u32 rsdt;
    u32 length;
    u64 xsdt;
    u8 extended_checksum;
    u8 reserved[3];
};
static_assert(sizeof(Rsdp) == 36);

struct [[gnu::packed]] Header {
    char signature[4];
    u32 length;
    u8 revision;
    u8 checksum;
    std::array<char, 6> oem_id;
    char oem_table_id[8];
    u32 oem_revision;
    char creator_id[4];
    u32 creator_revision;
};
static_assert(sizeof(Header) == 36);

struct [[gnu::packed]] Madt_start {
    u32 local_apic_address;
    u32 flags;
};

struct [[gnu::packed]] X2apic_record {
    u8 type = 9, length = 16;
    u16 reserved = 0;
    u32 apic_id;
    u32 flags = 1; // enabled
    u32 uid;
};
static_assert(sizeof(X2apic_record) == 16);

struct [[gnu::packed]] Io_apic_record {
    u8 type = 1, length = 12;
    u8 id;
    u8 reserved = 0;
    u32 address;
    u32 gsi_base;
};
static_assert(sizeof(Io_apic_record) == 12);

struct [[gnu::packed]] Override_record {
    u8 type = 2, length = 10;
    u8 bus = 0; // ISA
    u8 source;
    u32 gsi;
    u16 flags;
};
static_assert(sizeof(Override_record) == 10);

constexpr u64 kXsdtOffset = 64;

bool is_allowed(const Acpi_table& table)
{
    return std::find(std::begin(kAllowed), std::end(kAllowed), table.name()) != std::end(kAllowed);
}

u64 allowed_count(const Acpi_tables& host)
{
    return static_cast<u64>(std::count_if(host.tables.begin(), host.tables.end(), is_allowed));
}

u64 madt_offset(const Acpi_tables& host)
{
    return align_up(kXsdtOffset + sizeof(Header) + (allowed_count(host) + 1) * sizeof(u64), 16);
}

u8 checksum(const u8* at, u64 size)
{
    u8 sum = 0;
    for (u64 i = 0; i < size; ++i)
        sum = static_cast<u8>(sum + at[i]);
    return static_cast<u8>(0 - sum);
}

// Appends to a table whose header is filled in last, when its length is known.
class Table_writer
{
  public:
    Table_writer(u8* at, std::string_view signature, u8 revision, const std::array<char, 6>& oem_id)
        : start_(at), next_(at + sizeof(Header))
    {
        Header header{
            {}, 0, revision, 0, oem_id, {'P', 'L', 'I', 'N', 'T', 'H', ' ', ' '}, 1, {'P', 'L', 'T', 'H'}, 1};
        std::copy_n(signature.begin(), 4, header.signature);
        bytes::store(at, header);
    }
    template <class T>
    void add(const T& record)
    {
        bytes::store(next_, record);
        next_ += sizeof record;
    }
    void finish()
    {
        const auto length = static_cast<u32>(next_ - start_);
        bytes::store(start_ + offsetof(Header, length), length);
        start_[offsetof(Header, checksum)] = checksum(start_, length);
    }

  private:
    u8* start_;
    u8* next_;
};

void write_root(u8* at, const Acpi_root& host, u64 xsdt)
{
    Rsdp rsdp{{'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '}, 0, host.oem_id, 2, 0, sizeof(Rsdp), xsdt, 0, {}};
    bytes::store(at, rsdp);
    at[offsetof(Rsdp, checksum)]          = checksum(at, 20);
    at[offsetof(Rsdp, extended_checksum)] = checksum(at, sizeof rsdp);
}

void write_madt(u8* at, const Acpi_root& host, const Madt_info& madt, unsigned vcpus)
{
    Table_writer table(at, "APIC", 4, host.oem_id);
    table.add(Madt_start{static_cast<u32>(madt.local_apic_address.value()), 0});
    for (unsigned i = 0; i < vcpus; ++i)
        table.add(X2apic_record{.apic_id = 2 * i, .uid = i});
    for (const Io_apic_entry& io_apic : madt.io_apics)
        table.add(Io_apic_record{.id       = io_apic.id,
                                 .address  = static_cast<u32>(io_apic.address.value()),
                                 .gsi_base = io_apic.gsi_base});
    for (const Interrupt_override& o : madt.overrides)
        table.add(Override_record{.source = o.source,
                                  .gsi    = o.gsi,
                                  .flags  = static_cast<u16>(static_cast<unsigned>(o.polarity) |
                                                            static_cast<unsigned>(o.trigger) << 2)});
    table.finish();
}

} // namespace

u64 dom0_acpi_size(const Acpi_tables& host, const Madt_info& madt, unsigned vcpus)
{
    return madt_offset(host) + sizeof(Header) + sizeof(Madt_start) + vcpus * sizeof(X2apic_record) +
           madt.io_apics.size() * sizeof(Io_apic_record) + madt.overrides.size() * sizeof(Override_record);
}

Expected<void> build_dom0_acpi(const Acpi_tables& host, const Madt_info& madt, unsigned vcpus, Gpa at,
                               std::span<u8> out)
{
    if (out.size() < dom0_acpi_size(host, madt, vcpus))
        return fail(Errc::enobufs);
    const u64 madt_at = madt_offset(host);
    write_root(out.data(), host.root, at.value() + kXsdtOffset);
    Table_writer xsdt(out.data() + kXsdtOffset, "XSDT", 1, host.root.oem_id);
    xsdt.add(at.value() + madt_at);
    for (const Acpi_table& table : host.tables) {
        if (is_allowed(table))
            xsdt.add(table.address.value());
    }
    xsdt.finish();
    write_madt(out.data() + madt_at, host.root, madt, vcpus);
    return {};
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
//
// The way to the tables: RSDP, then XSDT or RSDT. [ACPI 5.2.5 to 5.2.8]
#include "platform/acpi.hpp"

#include "debug/log.hpp"
#include "platform/acpi_reader.hpp"
#include "platform/boot_info.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

constexpr u32 kRsdpSize1   = 20;
constexpr u32 kRsdpSize2   = 36;
constexpr u32 kMaxTable    = 16 << 20; // bytes; more is corruption
constexpr u64 kEbdaSegment = 0x40e;    // where the BIOS keeps the EBDA's real-mode segment
constexpr u64 kBiosArea    = 0xe0000;
constexpr u64 kBiosAreaEnd = 0x100000;

u8 sum(std::span<const u8> bytes)
{
    u8 total = 0;
    for (u8 b : bytes)
        total = static_cast<u8>(total + b);
    return total;
}

template <class T>
T load(std::span<const u8> bytes, std::size_t offset)
{
    T value;
    __builtin_memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

// Enoent when these bytes are no root pointer.
Expected<Acpi_root> parse_rsdp(std::span<const u8> bytes)
{
    constexpr std::string_view signature = "RSD PTR ";
    if (bytes.size() < kRsdpSize1 || !std::equal(signature.begin(), signature.end(), bytes.begin()) ||
        sum(bytes.first(kRsdpSize1)) != 0)
        return fail(Errc::enoent);
    Acpi_root root;
    std::copy_n(bytes.begin() + 9, 6, root.oem_id.begin());
    root.revision = bytes[15];
    root.rsdt     = Hpa(load<u32>(bytes, 16));
    if (root.revision >= 2 && bytes.size() >= kRsdpSize2 && sum(bytes.first(kRsdpSize2)) == 0)
        root.xsdt = Hpa(load<u64>(bytes, 24));
    return root;
}

Expected<Acpi_root> search(const Physical_reader& memory, u64 from, u64 to)
{
    for (u64 at = from; at + kRsdpSize1 <= to; at += 16) {
        u8 bytes[kRsdpSize2] = {};
        if (!memory.read(Hpa(at), std::span<u8>(bytes, kRsdpSize1)))
            continue;
        const bool whole = at + kRsdpSize2 <= to && memory.read(Hpa(at), bytes);
        auto root        = parse_rsdp(std::span<const u8>(bytes, whole ? kRsdpSize2 : kRsdpSize1));
        if (root)
            return root;
    }
    return fail(Errc::enoent);
}

// The table at that address, when its header and checksum are right.
Expected<Acpi_table> read_table(const Physical_reader& memory, Hpa at)
{
    const Acpi_bytes header(memory, at, kAcpiHeaderSize);
    const Acpi_table table{header.get<std::array<char, 4>>(0), at, header.get<u32>(4)};
    if (table.length < kAcpiHeaderSize || table.length > kMaxTable)
        return fail(Errc::einval);
    if (!Acpi_bytes(memory, at, table.length).checksum_is_right())
        return fail(Errc::einval);
    return table;
}

Expected<void> read_entries(const Physical_reader& memory, const Acpi_table& list, u32 entry_size,
                            Acpi_tables& tables)
{
    const Acpi_bytes bytes(memory, list.address, list.length);
    for (u32 at = kAcpiHeaderSize; bytes.has(at, entry_size); at += entry_size) {
        const u64 address = entry_size == 8 ? bytes.get<u64>(at) : bytes.get<u32>(at);
        if (address == 0)
            continue;
        auto table = read_table(memory, Hpa(address));
        if (!table)
            log::warning("ACPI table at {x} is unreadable or has a wrong checksum; ignored", address);
        else if (!tables.tables.push(*table))
            log::warning("more ACPI tables than expected; the one at {x} is ignored", address);
    }
    return {};
}

} // namespace

const Acpi_table* Acpi_tables::find(std::string_view signature) const
{
    for (const Acpi_table& table : tables) {
        if (table.name() == signature)
            return &table;
    }
    return nullptr;
}

Expected<Acpi_root> find_acpi_root(const Boot_info& boot, const Physical_reader& memory)
{
    if (boot.rsdp_size > 0) {
        auto root = parse_rsdp(std::span<const u8>(boot.rsdp).first(boot.rsdp_size));
        if (root)
            return root;
    }
    u16 segment = 0;
    if (memory.read_object(Hpa(kEbdaSegment), segment) && segment != 0) {
        const u64 ebda = u64{segment} << 4;
        auto root      = search(memory, ebda, ebda + 1024);
        if (root)
            return root;
    }
    return search(memory, kBiosArea, kBiosAreaEnd);
}

Expected<void> read_acpi_tables(const Acpi_root& root, const Physical_reader& memory, Acpi_tables& tables)
{
    tables.root = root;
    if (root.xsdt.value() != 0) {
        auto xsdt = read_table(memory, root.xsdt);
        if (xsdt && xsdt->name() == "XSDT")
            return read_entries(memory, *xsdt, 8, tables);
        log::warning("the ACPI XSDT at {x} is corrupt; trying the older RSDT", root.xsdt);
    }
    const Acpi_table rsdt = TRY(read_table(memory, root.rsdt));
    if (rsdt.name() != "RSDT")
        return fail(Errc::einval);
    return read_entries(memory, rsdt, 4, tables);
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
//
// The way to the tables: RSDP, then XSDT or RSDT. [ACPI 5.2.5 to 5.2.8]
#include "platform/acpi.hpp"

#include "base/string.hpp"
#include "debug/log.hpp"
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

// Enoent when these bytes are no root pointer.
Expected<Acpi_root> parse_rsdp(std::span<const u8> rsdp)
{
    constexpr std::string_view signature = "RSD PTR ";
    if (rsdp.size() < kRsdpSize1 || !std::equal(signature.begin(), signature.end(), rsdp.begin()) ||
        byte_sum(rsdp.first(kRsdpSize1)) != 0)
        return fail(Errc::enoent);
    Acpi_root root;
    std::copy_n(rsdp.begin() + 9, 6, root.oem_id.begin());
    root.rsdt = Hpa(bytes::load<u32>(rsdp.data() + 16));
    if (rsdp[15] >= 2 && rsdp.size() >= kRsdpSize2 && byte_sum(rsdp.first(kRsdpSize2)) == 0)
        root.xsdt = Hpa(bytes::load<u64>(rsdp.data() + 24));
    return root;
}

Expected<Acpi_root> search(const Physical_reader& memory, u64 from, u64 to)
{
    for (u64 at = from; at + kRsdpSize1 <= to; at += 16) {
        for (const u32 size : {kRsdpSize2, kRsdpSize1}) {
            std::array<u8, kRsdpSize2> rsdp{};
            const std::span<u8> read = std::span(rsdp).first(size);
            if (!memory.read(Hpa(at), read))
                continue;
            if (auto root = parse_rsdp(read))
                return root;
        }
    }
    return fail(Errc::enoent);
}

bool checksum_is_right(const Physical_bytes& table)
{
    u8 sum = 0;
    for (u32 at = 0; at < table.size();) {
        std::array<u8, 64> chunk;
        const auto read = std::span(chunk).first(std::min<u64>(table.size() - at, chunk.size()));
        if (!table.read(at, read))
            return false;
        sum = static_cast<u8>(sum + byte_sum(read));
        at += static_cast<u32>(read.size());
    }
    return sum == 0;
}

// The table at that address, when its header and checksum are right.
Expected<Acpi_table> read_table(const Physical_reader& memory, Hpa at)
{
    const Physical_bytes header(memory, at, kAcpiHeaderSize);
    const Acpi_table table{header.get<std::array<char, 4>>(0), at, header.get<u32>(4)};
    if (table.length < kAcpiHeaderSize || table.length > kMaxTable ||
        !checksum_is_right({memory, at, table.length}))
        return fail(Errc::einval);
    return table;
}

Expected<void> read_entries(const Physical_reader& memory, const Acpi_table& list, u32 entry_size,
                            Acpi_tables& tables)
{
    const Physical_bytes bytes(memory, list.address, list.length);
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
    const auto* found =
        std::ranges::find_if(tables, [&](const Acpi_table& table) { return table.name() == signature; });
    return found != tables.end() ? found : nullptr;
}

Expected<Physical_bytes> Acpi_tables::open(std::string_view signature, const Physical_reader& memory,
                                           u32 least_size) const
{
    const Acpi_table* table = find(signature);
    if (!table)
        return fail(Errc::enoent);
    if (table->length < least_size)
        return fail(Errc::einval);
    return Physical_bytes(memory, table->address, table->length);
}

Expected<Acpi_root> find_acpi_root(const Boot_info& boot, const Physical_reader& memory)
{
    if (boot.rsdp_size > 0) {
        if (auto root = parse_rsdp(std::span<const u8>(boot.rsdp).first(boot.rsdp_size)))
            return root;
    }
    u16 segment = 0;
    if (memory.read_object(Hpa(kEbdaSegment), segment) && segment != 0) {
        const u64 ebda = u64{segment} << 4;
        if (auto root = search(memory, ebda, ebda + 1024))
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

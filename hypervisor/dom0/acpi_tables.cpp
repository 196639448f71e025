// SPDX-License-Identifier: Apache-2.0
#include "dom0/acpi_tables.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <cstring>

namespace vmm
{
namespace
{

constexpr std::string_view kAllowed[] = {"FACP", "FACS", "DSDT", "PSDT", "SSDT", "SBST",
                                         "MCFG", "SLIC", "MSDM", "WDAT", "FPDT", "S3PT"};

constexpr u32 kRootSize = 36;
constexpr u32 kEnabled  = 1; // flag of a processor

// Writes tables one after the other, field by field; where there is no room it only counts.
class Table_writer
{
  public:
    Table_writer(std::span<u8> out, const std::array<char, 6>& oem_id) : out_(out), oem_id_(oem_id) {}

    [[nodiscard]] u64 used() const { return used_; }

    template <class T>
    void put(u64 offset, const T& value)
    {
        if (offset + sizeof value <= out_.size())
            std::memcpy(&out_[offset], &value, sizeof value);
    }
    template <class... T>
    void add(const T&... values)
    {
        ((put(used_, values), used_ += sizeof values), ...);
    }
    // Makes `size` bytes add up to zero by the byte at `offset`.
    void put_checksum(u64 offset, u64 start, u64 size)
    {
        if (start + size <= out_.size())
            put(offset, static_cast<u8>(-byte_sum(out_.subspan(start, size))));
    }
    // Returns where the table starts. [ACPI 5.2.6]
    u64 begin(std::array<char, 4> signature, u8 revision)
    {
        start_ = used_ = align_up(used_, 16);
        add(signature, u32{0}, revision, u8{0}, oem_id_, std::array{'P', 'L', 'I', 'N', 'T', 'H', ' ', ' '},
            u32{1}, std::array{'P', 'L', 'T', 'H'}, u32{1});
        return start_;
    }
    void end()
    {
        put(start_ + 4, static_cast<u32>(used_ - start_));
        put_checksum(start_ + 9, start_, used_ - start_);
    }

  private:
    std::span<u8> out_;
    const std::array<char, 6>& oem_id_;
    u64 start_ = 0;
    u64 used_  = 0;
};

// One x2APIC a vCPU, and the machine's IO-APICs with their overrides; no 8259. [ACPI 5.2.12]
u64 write_madt(Table_writer& out, const Madt_info& madt, unsigned vcpus)
{
    const u64 start = out.begin({'A', 'P', 'I', 'C'}, 4);
    out.add(static_cast<u32>(madt.local_apic_address.value()), u32{0});
    for (u32 i = 0; i < vcpus; ++i)
        out.add(u8{9}, u8{16}, u16{0}, 2 * i, kEnabled, i);
    for (const Io_apic_entry& io_apic : madt.io_apics)
        out.add(u8{1}, u8{12}, io_apic.id, u8{0}, static_cast<u32>(io_apic.address.value()),
                io_apic.gsi_base);
    for (const Interrupt_override& o : madt.overrides)
        out.add(u8{2}, u8{10}, u8{0}, o.source, o.gsi, o.flags);
    out.end();
    return start;
}

// Returns how many bytes it takes. [ACPI 5.2.5, 5.2.8]
u64 write(const Acpi_tables& host, const Madt_info& madt, unsigned vcpus, Gpa at, std::span<u8> bytes)
{
    Table_writer out(bytes, host.root.oem_id);
    out.add(std::array{'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '}, u8{0}, host.root.oem_id, u8{2}, u32{0},
            kRootSize, u64{0}, u32{0});
    const u64 own_madt = write_madt(out, madt, vcpus);
    const u64 xsdt     = out.begin({'X', 'S', 'D', 'T'}, 1);
    out.add(at.value() + own_madt);
    for (const Acpi_table& table : host.tables) {
        if (std::ranges::find(kAllowed, table.name()) != std::end(kAllowed))
            out.add(table.address.value());
    }
    out.end();
    out.put(24, at.value() + xsdt);
    out.put_checksum(8, 0, 20);
    out.put_checksum(32, 0, kRootSize);
    return out.used();
}

} // namespace

u64 dom0_acpi_size(const Acpi_tables& host, const Madt_info& madt, unsigned vcpus)
{
    return write(host, madt, vcpus, Gpa(), {});
}

Expected<void> build_dom0_acpi(const Acpi_tables& host, const Madt_info& madt, unsigned vcpus, Gpa at,
                               std::span<u8> out)
{
    if (write(host, madt, vcpus, at, out) > out.size())
        return fail(Errc::enobufs);
    return {};
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/domain_builder.hpp"

#include "toolstack/build/acpi_tables.hpp"
#include "toolstack/build/start_info.hpp"
#include "toolstack/build/vcpu_state.hpp"

#include <algorithm>
#include <cstring>

#include <xen/grant_table.h>
#include <xen/hvm/params.h>

namespace vmm {

namespace {

constexpr std::size_t kMaxInitrdBytes = std::size_t{2} << 30;
constexpr std::size_t kMaxCommandLine = 4095;
constexpr std::uint64_t kSlackKib = 1024; // what guests and hypervisors come to need beside RAM
constexpr unsigned kLargeOrder = 9;       // 2 MiB
constexpr std::uint64_t kLargePage = kPageSize << kLargeOrder;
constexpr std::size_t kExtentsPerCall = 1024;
// Pages mapped at once. dom0 needs as many free frames for a view, so a larger window would cost it memory.
constexpr std::size_t kWindowPages = 4096;

// Page tables for the domain: a MiB for each vCPU and 8 KiB for each MiB of memory are ample even if nothing maps large.
std::uint64_t table_memory(std::uint64_t memory_kib, unsigned vcpus) { return 1024U * vcpus + memory_kib / 128; }

} // namespace

Result<Prepared_domain> Domain_builder::prepare(const Build_request& request)
{
    if (request.command_line.size() > kMaxCommandLine) {
        return fail(Errc::too_big, "the kernel command line has " + std::to_string(request.command_line.size()) +
                                       " characters; at most " + std::to_string(kMaxCommandLine) + " are possible");
    }
    Prepared_domain prepared;
    prepared.kernel = TRY(kernels_.get(request.kernel));
    if (!request.ramdisk.empty()) {
        prepared.initrd = TRY(Image_bytes::read_file(request.ramdisk, kMaxInitrdBytes, "ramdisk"));
    }
    prepared.command_line = request.command_line;
    prepared.vcpus = request.vcpus;
    prepared.acpi = make_acpi_tables(kAcpiAddress, request.vcpus);

    Layout_request wanted;
    wanted.memory = request.memory_kib * 1024 / kPageSize * kPageSize;
    wanted.kernel_begin = prepared.kernel->elf.begin();
    wanted.kernel_end = prepared.kernel->elf.end();
    wanted.initrd_size = prepared.initrd.size();
    wanted.info_size = start_info_size(request.command_line.size(), kMemoryMapEntries);
    wanted.acpi_size = prepared.acpi.size();
    prepared.layout = TRY(make_layout(wanted));

    const std::uint64_t most = std::max(request.memory_kib, request.max_memory_kib);
    const std::uint64_t beside_ram = prepared.layout.pages() * kPageSize / 1024 - wanted.memory / 1024;
    prepared.max_memory_kib = most + beside_ram + kSlackKib;
    prepared.table_kib = table_memory(most, request.vcpus);
    return prepared;
}

Result<Built_domain> Domain_builder::build(Domid id, const Prepared_domain& prepared)
{
    TRY(reserve_memory(id, prepared));
    TRY(populate(id, prepared.layout));
    TRY(build_.claim(id, 0));
    TRY(build_.set_memory_map(id, prepared.layout.memory_map()));
    TRY(load(id, prepared));
    const Built_domain built = TRY(connect_rings(id));
    const auto present = TRY(build_.context(id));
    const Start_state start{prepared.kernel->elf.entry, prepared.layout.start_info};
    TRY(build_.set_context(id, TRY(make_start_records(present, start))));
    return built;
}

Result<void> Domain_builder::reserve_memory(Domid id, const Prepared_domain& prepared)
{
    auto reserved = build_.set_table_memory(id, prepared.table_kib);
    if (reserved) {
        reserved = build_.claim(id, prepared.layout.pages());
    }
    if (!reserved && reserved.error().code == Errc::out_of_memory) {
        const Host_info host = TRY(control_.host());
        const std::uint64_t needed = prepared.layout.pages() * kPageSize / 1024 + prepared.table_kib;
        const std::uint64_t free = host.free_kib - std::min(host.free_kib, host.claimed_kib);
        return fail(Errc::out_of_memory, "not enough memory: the domain needs " + std::to_string((needed + 1023) / 1024) +
                                             " MiB, " + std::to_string(free / 1024) +
                                             " MiB are free; lower memory=, or shrink or stop other domains");
    }
    return reserved;
}

Result<void> Domain_builder::populate_all(Domid id, const std::vector<std::uint64_t>& frames)
{
    const std::size_t got = TRY(build_.populate(id, frames, 0));
    if (got != frames.size()) {
        return fail(Errc::out_of_memory, "the hypervisor ran out of memory for domain " + to_string(id));
    }
    return {};
}

Result<void> Domain_builder::populate_range(Domid id, std::uint64_t begin, std::uint64_t end)
{
    std::vector<std::uint64_t> frames;
    std::uint64_t at = begin;
    while (at < end) {
        frames.clear();
        const bool large = end - at >= kLargePage;
        const std::uint64_t step = large ? kLargePage : kPageSize;
        for (std::uint64_t next = at; end - next >= step && frames.size() < kExtentsPerCall; next += step) {
            frames.push_back(next >> kPageShift);
        }
        if (!large) {
            TRY(populate_all(id, frames));
            at += frames.size() * kPageSize;
            continue;
        }
        const std::size_t got = TRY(build_.populate(id, frames, kLargeOrder));
        at += got * kLargePage;
        if (got < frames.size()) { // no free 2 MiB block left: this one in small pages, then try again
            frames.clear();
            for (std::uint64_t next = at; next < at + kLargePage; next += kPageSize) {
                frames.push_back(next >> kPageShift);
            }
            TRY(populate_all(id, frames));
            at += kLargePage;
        }
    }
    return {};
}

Result<void> Domain_builder::populate(Domid id, const Guest_layout& layout)
{
    TRY(populate_range(id, 0, layout.low_ram));
    TRY(populate_range(id, kHighRamStart, kHighRamStart + layout.high_ram));
    std::vector<std::uint64_t> frames{raw(kStorePage), raw(kConsolePage)};
    for (std::uint64_t at = 0; at < layout.acpi_size; at += kPageSize) {
        frames.push_back((kAcpiAddress + at) >> kPageShift);
    }
    return populate_all(id, frames);
}

// Only what is copied is mapped: the rest of a new domain's memory is zero already.
Result<void> Domain_builder::write(Domid id, std::uint64_t address, std::span<const std::byte> bytes)
{
    while (!bytes.empty()) {
        const std::uint64_t in_page = address % kPageSize;
        const std::size_t now = std::min(bytes.size(), kWindowPages * kPageSize - in_page);
        const std::size_t pages = (in_page + now + kPageSize - 1) / kPageSize;
        const Mapped_pages window = TRY(build_.map(id, gfn_of(address), pages));
        std::memcpy(window.data() + in_page, bytes.data(), now);
        bytes = bytes.subspan(now);
        address += now;
    }
    return {};
}

Result<void> Domain_builder::write_start_info(Domid id, const Prepared_domain& prepared)
{
    const auto map = prepared.layout.memory_map();
    Start_info_request request;
    request.address = prepared.layout.start_info;
    request.rsdp = kAcpiAddress;
    request.initrd = prepared.layout.initrd;
    request.initrd_size = prepared.initrd.size();
    request.command_line = prepared.command_line;
    request.memory_map = map;
    return write(id, request.address, make_start_info(request));
}

Result<void> Domain_builder::load(Domid id, const Prepared_domain& prepared)
{
    const Byte_view file = prepared.kernel->file.bytes();
    for (const Elf_segment& segment : prepared.kernel->elf.segments) {
        TRY(write(id, segment.address, file.subspan(segment.file_offset, segment.file_size)));
    }
    TRY(write(id, prepared.layout.initrd, prepared.initrd.bytes()));
    TRY(write(id, kAcpiAddress, prepared.acpi));
    return write_start_info(id, prepared);
}

Result<void> Domain_builder::clear_page(Domid id, Gfn page)
{
    const Mapped_pages view = TRY(build_.map(id, page, 1));
    std::memset(view.data(), 0, kPageSize);
    return {};
}

Result<Built_domain> Domain_builder::connect_rings(Domid id)
{
    Built_domain built;
    built.store_page = kStorePage;
    built.console_page = kConsolePage;
    // Both sides start from zero indices, whatever the hypervisor's way of scrubbing leaves in a page.
    TRY(clear_page(id, kStorePage));
    TRY(clear_page(id, kConsolePage));
    built.store_port = TRY(build_.alloc_unbound(id, kDom0));
    built.console_port = TRY(build_.alloc_unbound(id, kDom0));
    TRY(build_.set_param(id, HVM_PARAM_STORE_PFN, raw(kStorePage)));
    TRY(build_.set_param(id, HVM_PARAM_STORE_EVTCHN, raw(built.store_port)));
    TRY(build_.set_param(id, HVM_PARAM_CONSOLE_PFN, raw(kConsolePage)));
    TRY(build_.set_param(id, HVM_PARAM_CONSOLE_EVTCHN, raw(built.console_port)));

    const Mapped_pages table = TRY(build_.map_grant_table(id));
    const auto seed = [&](Grant_ref ref, Gfn page) {
        grant_entry_v1_t entry{};
        entry.flags = GTF_permit_access;
        entry.domid = raw(kDom0);
        entry.frame = static_cast<std::uint32_t>(raw(page));
        std::memcpy(table.data() + raw(ref) * sizeof entry, &entry, sizeof entry);
    };
    seed(kConsoleGrant, kConsolePage);
    seed(kStoreGrant, kStorePage);
    return built;
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/domain_builder.hpp"

#include "toolstack/build/acpi_tables.hpp"
#include "toolstack/build/guest_memory.hpp"
#include "toolstack/build/start_info.hpp"
#include "toolstack/build/vcpu_state.hpp"

#include <algorithm>
#include <cstring>

namespace vmm
{

namespace
{

constexpr std::size_t kMaxInitrdBytes = std::size_t{2} << 30;
constexpr std::size_t kMaxCommandLine = 4095;
constexpr std::uint64_t kSlackKib     = 1024; // what guests and hypervisors come to need beside RAM

std::vector<std::byte> start_info(const Prepared_domain& prepared)
{
    const auto map = prepared.layout.memory_map();
    Start_info_request request;
    request.address      = prepared.layout.start_info;
    request.rsdp         = kAcpiAddress;
    request.initrd       = prepared.layout.initrd;
    request.initrd_size  = prepared.initrd.size();
    request.command_line = prepared.command_line;
    request.memory_map   = map;
    return make_start_info(request);
}

Result<void> load(Build_control& build, Domid id, const Prepared_domain& prepared, const Progress& progress)
{
    Guest_memory memory(build, id);
    TRY(memory.populate(prepared.layout, progress));
    TRY(build.claim(id, 0)); // all of it has come true
    const Kernel_image& kernel = *prepared.kernel;
    if (!TRY(memory.is_fresh_memory_zero(kConsolePage))) {
        for (const Elf_segment& segment : kernel.elf.segments) {
            TRY(memory.clear(segment.address, segment.memory_size));
        }
        TRY(memory.clear(raw(kStorePage) * kPageSize, kPageSize));
        TRY(memory.clear(raw(kConsolePage) * kPageSize, kPageSize));
    }
    const Byte_view file = kernel.file.bytes();
    for (const Elf_run& run : kernel.runs) {
        TRY(memory.put(run.address, file.subspan(run.file_offset, run.size)));
    }
    TRY(memory.put(prepared.layout.initrd, prepared.initrd.bytes()));
    const auto info = start_info(prepared);
    TRY(memory.put(prepared.layout.start_info, info));
    TRY(memory.put(kAcpiAddress, prepared.acpi));
    return memory.flush();
}

} // namespace

Result<Prepared_domain> Domain_builder::prepare(const Build_request& request)
{
    if (request.command_line.size() > kMaxCommandLine) {
        return fail(Errc::too_big, "the kernel command line has " +
                                       std::to_string(request.command_line.size()) + " characters; at most " +
                                       std::to_string(kMaxCommandLine) + " are possible");
    }
    Prepared_domain prepared;
    prepared.kernel = TRY(kernels_.get(request.kernel));
    if (!request.ramdisk.empty()) {
        prepared.initrd = TRY(Image_bytes::read_file(request.ramdisk, kMaxInitrdBytes, "ramdisk"));
    }
    prepared.command_line = request.command_line;
    prepared.vcpus        = request.vcpus;
    prepared.acpi         = make_acpi_tables(kAcpiAddress, request.vcpus);

    Layout_request wanted;
    wanted.memory       = request.memory_kib * 1024 / kPageSize * kPageSize;
    wanted.kernel_begin = prepared.kernel->elf.begin();
    wanted.kernel_end   = prepared.kernel->elf.end();
    wanted.initrd_size  = prepared.initrd.size();
    wanted.info_size    = start_info_size(request.command_line.size(), kMemoryMapEntries);
    wanted.acpi_size    = prepared.acpi.size();
    prepared.layout     = TRY(make_layout(wanted));

    const std::uint64_t beside_ram = prepared.layout.pages() * kPageSize / 1024 - wanted.memory / 1024;
    prepared.max_memory_kib        = request.memory_kib + beside_ram + kSlackKib;
    prepared.table_kib             = table_memory_kib(request.memory_kib, request.vcpus);
    return prepared;
}

Result<void> Domain_builder::reserve(Domid id, std::uint64_t pages, std::uint64_t table_kib)
{
    auto reserved = build_.set_table_memory(id, table_kib);
    if (reserved) {
        reserved = build_.claim(id, pages);
    }
    if (!reserved && reserved.error().code == Errc::out_of_memory) {
        const Host_info host       = TRY(control_.host());
        const std::uint64_t needed = pages * kPageSize / 1024 + table_kib;
        const std::uint64_t free   = host.free_kib - std::min(host.free_kib, host.claimed_kib);
        return fail(Errc::out_of_memory,
                    "not enough memory: the domain needs " + std::to_string((needed + 1023) / 1024) +
                        " MiB, " + std::to_string(free / 1024) +
                        " MiB are free; lower maxmem (or memory), or shrink or stop other domains");
    }
    return reserved;
}

Result<Built_domain> fill_domain(Build_control& build, Domid id, const Prepared_domain& prepared,
                                 const Progress& progress)
{
    TRY(load(build, id, prepared, progress));
    TRY(build.set_memory_map(id, prepared.layout.memory_map()));
    const Built_domain built = TRY(connect_rings(build, id));
    const auto present       = TRY(build.context(id));
    const Start_state start{prepared.kernel->elf.entry, prepared.layout.start_info};
    TRY(build.set_context(id, TRY(make_start_records(present, start))));
    return built;
}

} // namespace vmm

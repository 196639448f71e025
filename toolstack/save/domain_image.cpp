// SPDX-License-Identifier: Apache-2.0
#include "toolstack/save/domain_image.hpp"

#include "toolstack/build/acpi_tables.hpp"
#include "toolstack/build/byte_view.hpp"

#include <xen/hvm/save.h>
#include <xen/xen.h>

#include <cstring>

namespace vmm::save
{

namespace
{

constexpr std::uint64_t kSuspendCalledOff = 1; // what the hypercall returns then

std::string port_name(Evtchn_port port) { return std::to_string(raw(port)); }

Result<std::vector<std::byte>> read_processors(Image_reader& in)
{
    const Record record = TRY(in.next());
    if (record.type != Record_type::processors) {
        return fail(Errc::protocol, "the saved domain has no processor state");
    }
    std::vector<std::byte> processors(record.payload.begin(), record.payload.end());
    const Record last = TRY(in.next());
    if (last.type != Record_type::end) {
        return fail(Errc::protocol, "the saved domain goes on where it should end");
    }
    return processors;
}

} // namespace

Guest_layout layout_of(const Saved_domain& domain)
{
    const auto acpi = make_acpi_tables(kAcpiAddress, domain.config.maxvcpus);
    return memory_layout(domain.static_max_kib * 1024 / kPageSize * kPageSize, acpi.size());
}

Result<void> save_domain(Build_control& build, Domid id, const Saved_domain& description,
                         const std::string& path, Compression compression, const Progress& progress)
{
    Image_writer out = TRY(Image_writer::create(path, compression));
    const auto type  = description.disks.empty() ? Record_type::description : Record_type::point;
    TRY(out.put(type, encode(description)));
    const Memory_counts counts = TRY(write_memory(build, id, layout_of(description), out, progress));
    if (counts.present < description.memory_kib * 1024 / kPageSize) {
        return fail(Errc::unsupported,
                    "domain " + to_string(id) + " has memory at addresses it was not made with (" +
                        std::to_string(description.memory_kib) + " KiB in all, " +
                        std::to_string(counts.present * kPageSize / 1024) + " found): it cannot be saved");
    }
    TRY(out.put(Record_type::processors, TRY(build.context(id))));
    return out.finish();
}

Result<Built_domain> restore_domain(Build_control& build, Domid id, const Saved_domain& description,
                                    Image_reader& in, const Progress& progress)
{
    TRY(read_memory(build, id, in, layout_of(description).pages(), progress));
    return complete_domain(build, id, description, TRY(read_processors(in)));
}

Result<Built_domain> complete_domain(Build_control& build, Domid id, const Saved_domain& description,
                                     std::span<const std::byte> processors)
{
    TRY(build.claim(id, 0)); // all that was set aside for it has come true
    TRY(build.set_memory_map(id, layout_of(description).memory_map()));
    const Built_domain rings = TRY(connect_rings(build, id));
    // The guest goes on using the numbers it knows.
    if (rings.store_port != description.store_port || rings.console_port != description.console_port) {
        return fail(Errc::unsupported, "the domain's store and console were on event channels " +
                                           port_name(description.store_port) + " and " +
                                           port_name(description.console_port) + ", and would be on " +
                                           port_name(rings.store_port) + " and " +
                                           port_name(rings.console_port) + " here");
    }
    TRY(build.set_context(id, processors));
    return rings;
}

Result<std::vector<std::byte>> call_off_suspend(std::span<const std::byte> processors)
{
    std::vector<std::byte> changed(processors.begin(), processors.end());
    for (std::size_t at = 0; at + sizeof(hvm_save_descriptor) <= changed.size();) {
        hvm_save_descriptor record{};
        std::memcpy(&record, changed.data() + at, sizeof record);
        at += sizeof record;
        // The processor that asked for the suspension is the first one, always.
        if (record.typecode == HVM_SAVE_CODE(CPU) && record.instance == 0 &&
            record.length >= sizeof kSuspendCalledOff && record.length <= changed.size() - at) {
            std::memcpy(changed.data() + at + offsetof(HVM_SAVE_TYPE(CPU), rax), &kSuspendCalledOff,
                        sizeof kSuspendCalledOff);
            return changed;
        }
        at += record.length;
    }
    return fail(Errc::protocol, "the hypervisor told no state of the domain's first processor");
}

} // namespace vmm::save

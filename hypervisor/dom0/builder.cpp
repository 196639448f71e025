// SPDX-License-Identifier: Apache-2.0
#include "dom0/builder.hpp"

#include "base/bits.hpp"
#include "base/string.hpp"
#include "debug/log.hpp"
#include "debug/panic.hpp"
#include "dom0/acpi_tables.hpp"
#include "dom0/kernel.hpp"
#include "dom0/start_of_day.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "mm/frame_allocator.hpp"
#include "platform/cpus.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

constexpr unsigned kPorts     = 4096;
constexpr unsigned kGrants    = 64;
constexpr unsigned kMaptracks = 1024;

template <class T>
T must(Expected<T> result, const char* what)
{
    if (!result)
        refuse("dom0 cannot be built: {} failed (error {})", what, result.error());
    if constexpr (!std::is_void_v<T>)
        return std::move(*result);
}

Memory_range pages_of(Hpa start, Hpa end)
{
    return {Hpa(align_down(start.value(), kPageSize)), Hpa(align_up(end.value(), kPageSize))};
}

void zero(Hpa start, Hpa end)
{
    if (end <= start)
        return;
    const Hpa whole_pages = std::min(Hpa(align_up(start.value(), kPageSize)), end);
    bytes::fill(to_virtual(start), 0, whole_pages - start);
    if (end > whole_pages)
        bytes::zero_pages(to_virtual(whole_pages), (end - whole_pages) >> kPageShift);
}

// Where everything goes, or the reason why it does not fit.
Dom0_layout lay_out(const Dom0_config& config, const Elf_image& kernel, u64 initrd_size)
{
    for (const Elf_segment& segment : kernel.segments) {
        if (!config.plan.contains(Hpa(segment.address.value()), segment.memory_size))
            refuse("dom0's kernel wants to be loaded at {x} to {x}, which is not RAM of dom0 "
                   "(it has {} MiB: give it more with dom0_mem=)",
                   segment.address, segment.end(), config.plan.dom0_bytes / kMiB);
    }
    const Memory_range image{Hpa(kernel.start().value()), Hpa(kernel.end().value())};
    const auto layout = place_dom0(config.plan, image, dom0_acpi_size(config.acpi, config.madt, config.vcpus),
                                   kStartOfDayBytes, initrd_size);
    if (!layout)
        refuse("dom0 has {} MiB of RAM, too little for its kernel and {} MiB of initrd "
               "(give it more with dom0_mem=)",
               config.plan.dom0_bytes / kMiB, initrd_size / kMiB + 1);
    return *layout;
}

// The initrd may lie anywhere in RAM, also where it or the kernel is going to be, so it moves first; what
// remains of the plan is scrubbed around it. The first page keeps the firmware's data area.
void prepare_memory(const Memory_plan& plan, Memory_range initrd_from, Memory_range initrd_to)
{
    if (initrd_to.end > initrd_to.start)
        bytes::move(to_virtual(initrd_to.start), to_virtual(initrd_from.start),
                    initrd_to.end - initrd_to.start);
    for (const Memory_range& range : plan.dom0) {
        const Hpa start = std::max(range.start, Hpa(kPageSize));
        for_each_gap({start, range.end}, {&initrd_to, 1}, zero);
    }
}

void load(const Elf_image& kernel)
{
    for (const Elf_segment& segment : kernel.segments)
        bytes::copy(to_virtual(Hpa(segment.address.value())), segment.data.data(), segment.data.size());
}

// RAM, and everything that is not RAM at all: firmware tables, BIOS areas, devices. RAM of others and the
// local APIC's page stay absent. [xen/include/public/arch-x86/hvm/start_info.h; APM2 16.3.1]
Expected<void> map_memory(P2m& p2m, const Dom0_config& config)
{
    for (const Memory_range& range : config.plan.dom0)
        TRY(p2m.set_identity(Gfn(range.start.value() >> kPageShift), (range.end - range.start) >> kPageShift,
                             P2m_type::ram));
    u64 at             = 0;
    const auto map_gap = [&](u64 start, u64 end) -> Expected<void> {
        if (end <= start)
            return {};
        return p2m.set_identity(Gfn(start >> kPageShift), (end - start) >> kPageShift, P2m_type::mmio);
    };
    for (const Memory_region& region : config.host) {
        const u64 start = align_down(region.start.value(), kPageSize);
        const u64 end   = align_up(region.end().value(), kPageSize);
        TRY(map_gap(at, std::min(start, 4 * kGiB)));
        if (region.type != Memory_type::ram)
            TRY(map_gap(std::max(start, at), end));
        at = std::max(at, end);
    }
    TRY(map_gap(at, 4 * kGiB));
    return p2m.remove(Gfn(config.madt.local_apic_address.value() >> kPageShift), kOrder4k);
}

void take_frames(Domain& domain, const Memory_plan& plan)
{
    domain.set_max_frames(plan.dom0_bytes >> kPageShift);
    must(domain.account(plan.dom0_bytes >> kPageShift), "accounting");
    for (const Memory_range& range : plan.dom0)
        frames.add_owned(to_mfn(range.start), (range.end - range.start) >> kPageShift, domain.id());
}

void free_around_dom0(const Memory_plan& plan, Memory_range range)
{
    for_each_gap(range, {plan.dom0.begin(), plan.dom0.size()},
                 [](Hpa start, Hpa end) { frames.add_free(to_mfn(start), (end - start) >> kPageShift); });
}

Ref<Domain> create(const Dom0_config& config)
{
    const Domain_identity identity{.id = kDom0, .control = true, .identity_mapped = true, .handle = {}};
    auto domain = must(Domain::create(identity, kPorts, kGrants, kMaptracks), "creating the domain");
    domain->p2m().set_table_limit(~0ull);
    take_frames(*domain, config.plan);
    if (config.max_bytes > config.plan.dom0_bytes)
        domain->set_max_frames(config.max_bytes >> kPageShift);
    must(map_memory(domain->p2m(), config), "mapping memory");
    domain->set_configured_vcpus(config.vcpus);
    must(domain->set_max_vcpus(config.vcpus), "creating vCPUs");
    for (u32 i = 0; config.pin_vcpus && i < std::min(config.vcpus, cpu_count()); ++i)
        domain->vcpu(i)->sched.hard_affinity.store(Cpu_set::only(i));
    domain->rearrange_vcpus();
    return domain;
}

} // namespace

Ref<Domain> build_dom0(const Dom0_config& config)
{
    if (config.modules.empty())
        refuse("no kernel for dom0: the boot loader passed no module (module2 /boot/vmlinuz ...)");
    const Boot_module& kernel_module = config.modules[0];
    const Memory_range initrd_from   = config.modules.size() > 1
                                           ? Memory_range{config.modules[1].start, config.modules[1].end}
                                           : Memory_range{};
    const u64 initrd_size            = initrd_from.end - initrd_from.start;

    const Dom0_kernel kernel(kernel_module);
    const Dom0_layout layout = lay_out(config, kernel.image(), initrd_size);
    prepare_memory(config.plan, initrd_from, layout.initrd);
    load(kernel.image());
    Ref<Domain> domain = create(config);

    Dom0_map map;
    must(make_dom0_map(config.host, config.plan, layout.tables, map), "making its memory map");
    must(build_dom0_acpi(config.acpi, config.madt, config.vcpus, Gpa(layout.tables.start.value()),
                         {to_virtual<u8>(layout.tables.start), layout.tables.end - layout.tables.start}),
         "writing its ACPI tables");
    must(write_start_of_day(layout, map, kernel_module.command_line.view()), "writing its start info");
    must(store_memory_map(*domain, map), "storing its memory map");
    must(start_vcpu(*domain->vcpu(0), kernel.image().entry, Gpa(layout.start.start.value())),
         "starting its vCPU");

    for (const Boot_module& module : config.modules)
        free_around_dom0(config.plan, pages_of(module.start, module.end));
    log::info("dom0: {} MiB of RAM, {} vCPUs, entry at {x}", config.plan.dom0_bytes / kMiB, config.vcpus,
              kernel.image().entry);
    return domain;
}

} // namespace vmm

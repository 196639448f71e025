// SPDX-License-Identifier: Apache-2.0
#include "boot/stages.hpp"

#include "arch/x86/cpu/firmware_call.hpp"
#include "arch/x86/cpu/fpu.hpp"
#include "arch/x86/cpu/hardening.hpp"
#include "arch/x86/cpu/host_paging.hpp"
#include "arch/x86/cpu/image.hpp"
#include "arch/x86/intr/clock.hpp"
#include "arch/x86/intr/interrupts.hpp"
#include "arch/x86/intr/timer_driver.hpp"
#include "arch/x86/vendor.hpp"
#include "boot/boot_state.hpp"
#include "boot/consoles.hpp"
#include "debug/log.hpp"
#include "debug/panic.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/p2m.hpp"
#include "platform/power.hpp"

#include <algorithm>
#include <cstring>

namespace vmm::boot
{
namespace
{

constexpr u64 kMinMemory = 96 * kMiB; // the hypervisor, and the smallest dom0 that starts at all
constexpr Hpa kFirstMiBEnd{kMiB};

void reserve(Hpa start, Hpa end)
{
    if (!boot_state.used.add(start, end))
        refuse("too many modules: the list of used memory is full");
}

// A module outside RAM, or on top of the image, would destroy something.
void check_module(const Boot_module& module)
{
    const Hpa image_start = image::physical(image::image_start),
              image_end   = image::physical(image::image_end);
    if (module.start < image_end && module.end > image_start)
        refuse("a module at {x} to {x} overlaps the hypervisor: the boot loader's data is corrupt",
               module.start, module.end);
    if (module.size() > 0 && !memory_is(boot_state.memory, Memory_type::ram, module.start, module.size()))
        refuse("a module at {x} to {x} is not in RAM: the boot loader's data is corrupt", module.start,
               module.end);
}

// COM1 and COM3 share one ISA interrupt, COM2 and COM4 the other.
u8 serial_interrupt(u16 port) { return port == 0x2f8 || port == 0x2e8 ? 3 : 4; }

std::optional<Sleep_type> read_soft_off(Hpa dsdt)
{
    u32 length = 0;
    if (!physical_memory().read_object(dsdt + 4, length) || length < kAcpiHeaderSize || length > 16 * kMiB ||
        !is_readable(dsdt, length))
        return std::nullopt;
    return find_s5({to_virtual<const u8>(dsdt), length});
}

} // namespace

void check_processor()
{
    boot_state.cpu = read_cpu_facts();
    if (const auto why = why_no_guests(boot_state.cpu); !why.empty())
        refuse("{}", why);
    enable_fpu_on_this_cpu(boot_state.cpu);
    plan_hardening(boot_state.cpu, boot_state.options.spec_ctrl);
    harden_this_cpu();
    P2m::small_code = hardening().has(Measure::small_code);
}

void read_memory_map()
{
    const auto& given = boot_state.loader.memory;
    if (!make_memory_map({given.begin(), given.size()}, boot_state.memory))
        refuse("the firmware's memory map has too many regions");
    for (const Memory_region& r : boot_state.memory)
        log::debug("  {x} to {x}: type {}", r.start, r.end(), r.type);
    const u64 ram = memory_bytes(boot_state.memory, Memory_type::ram);
    log::info("{} MiB of RAM", ram / kMiB);
    if (ram < kMinMemory)
        refuse("this machine has {} MiB of RAM; at least {} MiB are needed", ram / kMiB, kMinMemory / kMiB);
    for (const Boot_module& module : boot_state.loader.modules) {
        check_module(module);
        reserve(module.start, module.end);
    }
    reserve(image::physical(image::image_start), image::physical(image::image_end));
    reserve(Hpa(0), kFirstMiBEnd);
}

void enter_final_page_tables()
{
    if (!build_host_page_tables(boot_state.memory, boot_state.used, boot_state.cpu))
        refuse("too little memory below 4 GiB for the hypervisor's page tables");
    enter_host_page_tables(boot_state.cpu);
}

void start_memory()
{
    const Hpa end    = memory_end(boot_state.memory, Memory_type::ram);
    const u64 bytes  = Frame_allocator::table_bytes(to_mfn(end));
    const auto table = find_free(boot_state.memory, boot_state.used, bytes, kPageSize, end);
    if (!table)
        refuse("too little memory for the table of frames ({} KiB)", bytes / 1024);
    reserve(*table, *table + bytes);
    std::memset(to_virtual(*table), 0, bytes);
    frames.init(to_mfn(end), to_virtual(*table));
    plan_dom0_memory();
    for_each_free(boot_state.memory, boot_state.used,
                  [](Hpa from, Hpa to) { frames.add_free(to_mfn(from), (to - from) >> kPageShift); });
    start_far_screen(boot_state.options, boot_state.loader);
    log::info("{} MiB free", (frames.free_count() << kPageShift) / kMiB);
}

void read_acpi()
{
    const auto root = find_acpi_root(boot_state.loader, physical_memory());
    if (!root)
        refuse("no ACPI tables: enable ACPI in the firmware setup");
    if (!read_acpi_tables(*root, physical_memory(), boot_state.acpi))
        refuse("the ACPI root table is corrupt");
    if (!read_madt(boot_state.acpi, physical_memory(), boot_state.madt))
        refuse("ACPI has no table of interrupt controllers (MADT): enable the APIC in the firmware setup");
    if (auto fadt = read_fadt(boot_state.acpi, physical_memory())) {
        boot_state.fadt = *fadt;
        power::set_acpi(*fadt, read_soft_off(fadt->dsdt));
    }
    if (!read_mcfg(boot_state.acpi, physical_memory(), boot_state.mcfg))
        log::info("ACPI has no MCFG: PCI configuration space is reached by ports only");
    for (const Acpi_table& table : boot_state.acpi.tables)
        log::debug("  {} at {x}, {} bytes", table.name(), table.address, table.length);
}

// A machine without it, or that was booted by its BIOS, goes on without.
void read_firmware()
{
    const Boot_info& loader = boot_state.loader;
    const auto firmware     = read_efi_firmware(loader.efi_system_table, physical_memory());
    if (!firmware)
        return;
    const std::span<const Efi_region> memory(loader.efi_memory.begin(), loader.efi_memory.size());
    efi_machine    = {firmware, memory};
    const bool use = boot_state.options.efi_services && !memory.empty();
    if (use && !map_firmware(memory))
        log::warning("too little memory for the tables that UEFI's runtime services run on");
    const u32 revision = firmware->system.header.revision;
    log::info("UEFI {}.{}, {} tables; its runtime services are {}", revision >> 16, (revision & 0xffff) / 10,
              firmware->system.table_count, use ? "there for dom0" : "not used");
}

void start_interrupts()
{
    if (!init_interrupts(boot_state.madt))
        refuse("no IO-APIC: enable the APIC in the firmware setup");
}

void start_clock()
{
    if (!init_clock(boot_state.fadt, boot_state.options.clock_source))
        refuse("neither the ACPI timer nor the PIT counts: there is no clock to measure time by");
}

void start_timer()
{
    if (!init_timer())
        refuse("the local APIC's timer does not count");
    start_watching_clock();
}

void start_console_input()
{
    Uart* uart = serial_console();
    if (!uart)
        return;
    const u8 interrupt = serial_interrupt(boot_state.options.com1.port);
    if (!connect_serial_interrupt(boot_state.madt, interrupt, *uart))
        log::warning("the serial port's interrupt cannot be routed: dom0's console has no input");
}

void start_virtualisation()
{
    const auto enabled = enable_virtualisation();
    if (!enabled)
        refuse("no guest can run: {}", enabled.error() == Errc::enomem
                                           ? "there is too little memory to start with"
                                           : "this CPU lacks what the line above says");
    report_virtualisation();
}

} // namespace vmm::boot

// SPDX-License-Identifier: Apache-2.0
//
// Before the first numbered stage: what the loader said, and the consoles it asks for.
#include "arch/x86/cpu/descriptors.hpp"
#include "boot/boot_state.hpp"
#include "boot/consoles.hpp"
#include "boot/stages.hpp"
#include "debug/log.hpp"
#include "debug/panic.hpp"
#include "mm/direct_map.hpp"
#include "sched/scheduler.hpp"

#include <cstring>

namespace vmm
{

constinit Boot_state boot_state;

namespace
{

class Direct_reader final : public Physical_reader
{
  public:
    bool read(Hpa from, std::span<u8> to) const override
    {
        if (!is_readable(from, to.size()))
            return false;
        std::memcpy(to.data(), to_virtual(from), to.size());
        return true;
    }
};

constinit Direct_reader reader;

void report(const Option_notes& notes)
{
    for (const Option_note& note : notes) {
        if (note.kind == Option_note::Kind::bad_value)
            log::warning("option {}: expected {}; ignored", note.word, note.hint);
        else if (note.hint.empty())
            log::warning("option {}: there is none of that name; ignored", note.word);
        else
            log::warning("option {}: there is none of that name, perhaps {}; ignored", note.word, note.hint);
    }
}

void print_option(std::string_view name, std::string_view form, std::string_view meaning)
{
    log::info("  {}{}{}: {}", name, form.empty() ? "" : "=", form, meaning);
}

void print_banner()
{
    const Boot_info& loader = boot_state.loader;
    log::info("Plinth " PLINTH_VERSION " (" PLINTH_REVISION "), booted by {}",
              loader.loader.empty() ? std::string_view("an unnamed loader") : loader.loader.view());
    log::info("command line: {}", loader.command_line.view());
    if (loader.truncated)
        log::warning(
            "the loader passed more (memory regions, modules or text) than fits; the rest is ignored");
}

} // namespace

const Physical_reader& physical_memory() { return reader; }

// At boot the first 4 GiB can be reached, later all RAM and below 4 GiB everything.
bool is_readable(Hpa from, u64 size)
{
    if (from.value() < 4 * kGiB)
        return size <= 4 * kGiB - from.value();
    return memory_is(boot_state.memory, Memory_type::ram, from, size) ||
           memory_is(boot_state.memory, Memory_type::acpi, from, size) ||
           memory_is(boot_state.memory, Memory_type::nvs, from, size);
}

void boot::start(u32 loader_magic, u32 loader_information)
{
    load_boot_descriptor_tables();
    const auto parsed = parse_boot_info(loader_magic, Hpa(loader_information), reader, boot_state.loader);

    Option_notes notes;
    Options& options = boot_state.options;
    parse_command_line(boot_state.loader.command_line.view(), options, notes);
    set_no_reboot(options.no_reboot);
    log::set_thresholds(options.loglvl, options.guest_loglvl);
    scheduler::choose(options.sched);
    start_consoles(options, boot_state.loader);
    print_banner();
    report(notes);
    if (options.help)
        for_each_option(print_option);
    if (!parsed && parsed.error() == Errc::enoexec)
        refuse(
            "the boot loader is neither multiboot1 nor multiboot2 (magic {x}): boot with GRUB's multiboot2",
            loader_magic);
    if (!parsed)
        refuse("what the boot loader passed at {x} is corrupt", loader_information);
}

} // namespace vmm

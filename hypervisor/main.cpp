// SPDX-License-Identifier: Apache-2.0
//
// The boot, stage by stage. Each stage is named on the console before it runs, so that a machine that
// hangs says where.
#include "boot/stages.hpp"
#include "debug/log.hpp"
#include "sched/scheduler.hpp"

#include <iterator>

namespace vmm
{
namespace
{

struct Stage {
    std::string_view name;
    void (*run)();
};

constexpr Stage kStages[] = {
    {"processor", boot::check_processor},
    {"memory map", boot::read_memory_map},
    {"page tables", boot::enter_final_page_tables},
    {"memory", boot::start_memory},
    {"ACPI tables", boot::read_acpi},
    {"UEFI firmware", boot::read_firmware},
    {"interrupt controllers", boot::start_interrupts},
    {"clock", boot::start_clock},
    {"timer", boot::start_timer},
    {"console input", boot::start_console_input},
    {"virtualization", boot::start_virtualisation},
    {"processors", boot::start_other_cpus},
    {"dom0", boot::start_dom0},
};

} // namespace

extern "C" [[noreturn]] void start_machine(u32 loader_magic, u32 loader_information)
{
    boot::start(loader_magic, loader_information);
    for (std::size_t i = 0; i < std::size(kStages); ++i) {
        log::info("boot {}/{}: {}", i + 1, std::size(kStages), kStages[i].name);
        kStages[i].run();
    }
    scheduler::run_this_cpu();
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "boot/boot_state.hpp"
#include "boot/consoles.hpp"
#include "boot/stages.hpp"
#include "debug/panic.hpp"
#include "dom0/builder.hpp"
#include "domain/domain.hpp"
#include "emul/domain_devices.hpp"
#include "platform/cpus.hpp"

#include <algorithm>

namespace vmm::boot
{
namespace
{

unsigned dom0_vcpus()
{
    const unsigned wanted = boot_state.options.dom0_max_vcpus;
    return std::min<unsigned>(wanted == 0 ? cpu_count() : wanted, kMaxVcpus);
}

Unique<Domain_devices> make_devices(Domain& dom0)
{
    const Mcfg_info& windows = boot_state.mcfg;
    const u16 hidden         = serial_console() ? boot_state.options.com1.port : u16{0};
    auto devices =
        Domain_devices::create(dom0, {.ecam = {windows.begin(), windows.size()}, .hidden_uart = hidden});
    if (!devices)
        refuse("dom0 cannot be built: emulating its interrupt controllers failed (error {})",
               devices.error());
    return std::move(*devices);
}

} // namespace

void plan_dom0_memory()
{
    Fixed_list<Memory_range, kMaxBootModules + 1> lendable;
    lendable.push({Hpa(0), Hpa(kMiB)});
    for (const Boot_module& module : boot_state.loader.modules)
        lendable.push({module.start, module.end});
    const auto planned =
        plan_memory(boot_state.memory, boot_state.used.list(), {lendable.begin(), lendable.size()},
                    boot_state.options.dom0_mem, boot_state.dom0);
    if (!planned && planned.error() == Errc::enomem)
        refuse("dom0_mem= asks for {} MiB; at most {} MiB can be given on this machine",
               boot_state.options.dom0_mem / kMiB, boot_state.dom0.most_bytes / kMiB);
    if (!planned)
        refuse("the memory map is too fragmented for dom0");
    for (const Memory_range& range : boot_state.dom0.dom0) {
        if (!boot_state.used.add(range.start, range.end))
            refuse("the memory map is too fragmented: the list of used memory is full");
    }
}

void start_dom0()
{
    const auto& modules    = boot_state.loader.modules;
    const Ref<Domain> dom0 = build_dom0({.host      = boot_state.memory,
                                         .plan      = boot_state.dom0,
                                         .modules   = {modules.begin(), modules.size()},
                                         .acpi      = boot_state.acpi,
                                         .madt      = boot_state.madt,
                                         .vcpus     = dom0_vcpus(),
                                         .pin_vcpus = boot_state.options.dom0_vcpus_pin,
                                         .max_bytes = boot_state.options.dom0_mem_max});
    dom0->set_devices(make_devices(*dom0).release());
    tell_dom0_of_console();
    if (!dom0->unpause_by_control())
        refuse("dom0 cannot be started");
}

} // namespace vmm::boot

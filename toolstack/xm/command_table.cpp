// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/command.hpp"

#include <algorithm>

namespace vmm::xm
{

namespace
{

// clang-format off: one row each
constexpr Command kCommands[] = {
    {"create",
     "[FILE] [KEY=VALUE]...",
     "start a domain from a configuration file",
     "FILE is looked for as it is and, if it has no slash, in /etc/vmm, with and without .cfg.\n"
     "KEY=VALUE counts as if it were the last line of the file; without FILE the whole configuration\n"
     "is given that way. See xm.cfg(5).",
     {0, Arity::kMany},
     create_options,
     create},
    {"list",
     "[DOMAIN]...",
     "show domains",
     "State: r running, b blocked, p paused, s shut down, c crashed, d dying.",
     {0, Arity::kMany},
     list_options,
     list},
    {"console",
     "DOMAIN",
     "attach to a domain's console",
     "Ctrl-] leaves. If the input is no terminal, its end does not: the output goes on until the domain\n"
     "ends.",
     {1, 1},
     nullptr,
     console},
    {"pause",
     "DOMAIN...",
     "stop a domain's processors, keeping it as it is",
     "",
     {1, Arity::kMany},
     nullptr,
     pause},
    {"unpause", "DOMAIN...", "let a paused domain run on", "", {1, Arity::kMany}, nullptr, unpause},
    {"shutdown",
     "DOMAIN...",
     "ask a domain's system to power off",
     "The domain does it in its own time, or never: `xm destroy` does not ask.",
     {0, Arity::kMany},
     shutdown_options,
     shutdown},
    {"reboot",
     "DOMAIN...",
     "ask a domain's system to reboot",
     "",
     {0, Arity::kMany},
     shutdown_options,
     reboot},
    {"destroy",
     "DOMAIN...",
     "end a domain at once, as if its power were cut",
     "Returns when its memory is free again.",
     {1, Arity::kMany},
     nullptr,
     destroy},
    {"rename", "DOMAIN NAME", "give a running domain another name", "", {2, 2}, nullptr, rename},
    {"domid", "DOMAIN", "print the id of a domain", "", {1, 1}, nullptr, domid},
    {"domname", "DOMAIN", "print the name of a domain", "", {1, 1}, nullptr, domname},
    {"mem-set",
     "DOMAIN SIZE",
     "ask a domain to have SIZE of memory",
     "SIZE is in MiB, or has a unit: k, m, g or t. It can be no more than what `mem-max` allows.",
     {2, 2},
     nullptr,
     mem_set},
    {"mem-max",
     "DOMAIN SIZE",
     "set the most memory a domain may have",
     "SIZE is in MiB, or has a unit: k, m, g or t.",
     {2, 2},
     nullptr,
     mem_max},
    {"vcpu-list",
     "[DOMAIN]...",
     "show virtual processors and where they may run",
     "",
     {0, Arity::kMany},
     nullptr,
     vcpu_list},
    {"network-attach",
     "DOMAIN [FIELD]...",
     "give a running domain a network interface",
     "FIELDs are those of vif in xm.cfg(5): bridge=br0 rate=10Mb/s. Without any, it is on the NAT network.",
     {1, Arity::kMany},
     nullptr,
     network_attach},
    {"network-detach",
     "DOMAIN DEVID|MAC",
     "take a network interface from a running domain",
     "The domain is asked to let it go, and may refuse.",
     {2, 2},
     network_detach_options,
     network_detach},
    {"network-list",
     "DOMAIN...",
     "show the network interfaces of domains",
     "",
     {1, Arity::kMany},
     nullptr,
     network_list},
    {"info", "", "show the machine and the hypervisor", "", {0, 0}, nullptr, info},
    {"dmesg", "", "show the hypervisor's log", "", {0, 0}, dmesg_options, dmesg},
    {"uptime",
     "[DOMAIN]...",
     "show how long domains have been running",
     "",
     {0, Arity::kMany},
     nullptr,
     uptime},
    {"sysrq", "DOMAIN KEY", "send a magic SysRq key to a Linux domain", "", {2, 2}, nullptr, sysrq},
    {"help", "[COMMAND]", "show the commands, or one of them", "", {0, 1}, nullptr, help},
};
// clang-format on

} // namespace

std::span<const Command> commands() { return kCommands; }

const Command* find_command(std::string_view name)
{
    const auto* const it = std::ranges::find(kCommands, name, &Command::name);
    return it == std::end(kCommands) ? nullptr : it;
}

} // namespace vmm::xm

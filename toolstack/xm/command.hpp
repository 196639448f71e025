// SPDX-License-Identifier: Apache-2.0
// The command table: every verb of xm as data. Dispatch, option parsing, `xm help`, and the test that each
// verb is in the manual and the completion all read this one table. The functions are in one file per family
// of verbs.
#pragma once

#include "toolstack/xm/invocation.hpp"

#include <boost/program_options/options_description.hpp>

#include <span>
#include <string_view>

namespace vmm::xm
{

using Options = boost::program_options::options_description;

struct Arity {
    unsigned least                  = 0;
    unsigned most                   = 0; // kMany: no limit
    static constexpr unsigned kMany = ~0u;
};

struct Command {
    std::string_view name;
    std::string_view synopsis; // the words after the options
    std::string_view summary;  // one line, for `xm help`
    std::string_view details;  // more for `xm help NAME`, may be empty
    Arity words;
    void (*add_options)(Options& options); // null: none of its own
    Outcome<> (*run)(Invocation& invocation);
};

[[nodiscard]] std::span<const Command> commands();
[[nodiscard]] const Command* find_command(std::string_view name);

// Everything after "xm". Prints what fails as one line on io.err and returns the exit code.
[[nodiscard]] int run(std::span<const std::string> arguments, Io& io);

// All options of a command, its own and those every command has.
[[nodiscard]] Options options_of(const Command& command);

// create.cpp
Outcome<> create(Invocation&);
void create_options(Options&);
// list.cpp
Outcome<> list(Invocation&);
void list_options(Options&);
Outcome<> vcpu_list(Invocation&);
Outcome<> uptime(Invocation&);
// lifecycle.cpp
Outcome<> pause(Invocation&);
Outcome<> unpause(Invocation&);
Outcome<> destroy(Invocation&);
Outcome<> sysrq(Invocation&);
// shutdown.cpp
Outcome<> shutdown(Invocation&);
Outcome<> reboot(Invocation&);
void shutdown_options(Options&);
// save.cpp
Outcome<> save(Invocation&);
void save_options(Options&);
Outcome<> checkpoint(Invocation&);
void checkpoint_options(Options&);
Outcome<> restore(Invocation&);
void restore_options(Options&);
// fork.cpp
Outcome<> fork(Invocation&);
void fork_options(Options&);
// migrate.cpp
Outcome<> migrate(Invocation&);
void migrate_options(Options&);
Outcome<> migrate_receive(Invocation&);
void receive_options(Options&);
// naming.cpp
Outcome<> rename(Invocation&);
Outcome<> domid(Invocation&);
Outcome<> domname(Invocation&);
// memory.cpp
Outcome<> mem_set(Invocation&);
Outcome<> mem_max(Invocation&);
// host.cpp
Outcome<> info(Invocation&);
Outcome<> dmesg(Invocation&);
void dmesg_options(Options&);
// sched.cpp
Outcome<> sched_credit(Invocation&);
void sched_credit_options(Options&);
Outcome<> vcpu_pin(Invocation&);
Outcome<> vcpu_set(Invocation&);
// pools.cpp
Outcome<> cpupool_list(Invocation&);
void cpupool_list_options(Options&);
Outcome<> cpupool_create(Invocation&);
Outcome<> cpupool_destroy(Invocation&);
Outcome<> cpupool_rename(Invocation&);
Outcome<> cpupool_cpu_add(Invocation&);
Outcome<> cpupool_cpu_remove(Invocation&);
Outcome<> cpupool_migrate(Invocation&);
Outcome<> cpu_offline(Invocation&);
Outcome<> cpu_online(Invocation&);
// cpu_policy.cpp
Outcome<> cpu_policy(Invocation&);
void cpu_policy_options(Options&);
// devices.cpp
void device_detach_options(Options&);
// block.cpp
Outcome<> block_attach(Invocation&);
Outcome<> block_detach(Invocation&);
Outcome<> block_list(Invocation&);
Outcome<> block_resize(Invocation&);
Outcome<> cd_insert(Invocation&);
Outcome<> cd_eject(Invocation&);
// network.cpp
Outcome<> network_attach(Invocation&);
Outcome<> network_detach(Invocation&);
Outcome<> network_list(Invocation&);
// console.cpp
Outcome<> console(Invocation&);
// help.cpp
Outcome<> help(Invocation&);
void print_help(const Command& command, std::ostream& out);

} // namespace vmm::xm

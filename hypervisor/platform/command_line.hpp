// SPDX-License-Identifier: Apache-2.0
//
// The hypervisor's own options, typed. Names and forms are those of Xen's command line where Xen has the
// option. No word that is not understood stops the boot: it is noted, with the nearest option there is, and
// reported once the console works. Pure; texts in notes point into the command line.
#pragma once

#include "debug/log.hpp"
#include "platform/clock_choice.hpp"
#include "platform/fixed_list.hpp"
#include "platform/uart.hpp"
#include "sched/sched_kind.hpp"

namespace vmm
{

struct Options {
    bool console_com1 = true;
    bool console_vga  = true;
    Uart_settings com1;
    u64 dom0_mem            = 0; // bytes; 0: all that is left
    u64 dom0_mem_max        = 0; // bytes; 0: as dom0_mem
    unsigned dom0_max_vcpus = 0; // 0: as many as there are CPUs
    unsigned max_cpus       = 0; // 0: all
    log::Threshold loglvl{log::Level::info, log::Level::info};
    log::Threshold guest_loglvl{log::Level::none, log::Level::warning};
    Clock_source clock_source           = Clock_source::automatic;
    Sched_kind sched                    = Sched_kind::fair;
    Sched_granularity sched_granularity = Sched_granularity::cpu;
    bool dom0_vcpus_pin                 = false;
    std::string_view spec_ctrl; // understood by arch/x86/decode/speculation.hpp
    bool efi_services = true;
    bool no_reboot    = false;
    bool help         = false;
};

struct Option_note {
    enum class Kind : u8 { unknown, bad_value };

    Kind kind;
    std::string_view word;
    std::string_view hint; // unknown: the nearest name, or empty; bad_value: what is expected
};
using Option_notes = Fixed_list<Option_note, 16>;

void parse_command_line(std::string_view text, Options& options, Option_notes& notes);

// What the option `help` prints, one option a call.
void for_each_option(void (*visit)(std::string_view name, std::string_view form, std::string_view meaning));

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
//
// The steps from the boot loader to a machine that can run guests, in the order main.cpp lists them. Each
// either succeeds or ends the boot with a refusal that names what is wrong and what to do.
#pragma once

#include "base/types.hpp"

namespace vmm::boot
{

// Before the first stage: exceptions are caught, and there is a console to name the stages on.
void start(u32 loader_magic, u32 loader_information);

void check_processor();
void read_memory_map();
void enter_final_page_tables();
void start_memory();
void plan_dom0_memory(); // part of start_memory: dom0's RAM is kept out of the frame allocator
void read_acpi();
void read_firmware();
void start_interrupts();
void start_clock();
void start_timer();
void start_console_input();
void start_virtualisation();
void start_other_cpus();
void start_dom0();

} // namespace vmm::boot

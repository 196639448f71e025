// SPDX-License-Identifier: Apache-2.0
//
// Carries out the plan against leaks by speculation (decode/speculation.hpp): once for the image, once on
// each CPU, and when a CPU goes to another vCPU. What is done at entries and exits is in the world switches,
// by the macros of hardening_asm.h.
#pragma once

#include "arch/x86/decode/speculation.hpp"

namespace vmm
{

// Makes the plan from this CPU and the text of spec-ctrl=, says it in one line, and changes the image
// accordingly. While the code can still be written, before another CPU runs.
void plan_hardening(const Cpu_facts& cpu, std::string_view spec_ctrl);
void harden_this_cpu();

[[nodiscard]] const Speculation_plan& hardening();

// The next entry on this CPU is that vCPU's, by its serial number: what another one left in predictors and
// caches is forgotten.
void separate_vcpus(u64 serial);

} // namespace vmm

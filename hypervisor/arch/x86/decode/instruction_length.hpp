// SPDX-License-Identifier: Apache-2.0
//
// The length of an intercepted instruction, for CPUs that do not save the next RIP. Pure: the bytes at RIP
// in, a length out. Only the instructions that exits can be caused by are known; anything else means the
// guest changed its code under the exit, and there is no length. [APM3 1.2, 3, 4]
#pragma once

#include "base/types.hpp"

#include <optional>
#include <span>

namespace vmm
{

inline constexpr unsigned kMaxInstructionLength = 15;

enum class Intercepted_instruction : u8 { cpuid, rdmsr, wrmsr, hlt, vmmcall, xsetbv, invd, wbinvd, none };

// `which` is not none.
std::optional<u8> instruction_length(std::span<const u8> bytes, Intercepted_instruction which,
                                     bool long_mode);

} // namespace vmm

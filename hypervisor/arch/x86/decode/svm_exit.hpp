// SPDX-License-Identifier: Apache-2.0
//
// From the exit fields of a VMCB to the neutral Vm_exit. Pure, so that recorded exits can be replayed in
// tests. The instruction length is left 0 where the VMCB does not tell it; exiting_instruction() says which
// instruction then has to be measured. Here in the header is what every exit goes through.
#pragma once

#include "arch/x86/decode/instruction_length.hpp"
#include "arch/x86/regs/control.hpp"
#include "arch/x86/regs/vmcb.hpp"
#include "exit/vm_exit.hpp"

#include <array>

namespace vmm::svm
{

// What an exit code below the nested fault's says by itself.
struct Exit_meaning {
    Exit_kind kind                      = Exit_kind::unknown;
    Intercepted_instruction instruction = Intercepted_instruction::none;
};
inline constexpr auto kExitMeanings = [] {
    namespace e = exitcode;
    using enum Exit_kind;
    using Instruction = Intercepted_instruction;
    std::array<Exit_meaning, e::rdpru + 1> all{};
    for (unsigned vector = 0; vector < 32; ++vector)
        all[e::exception_base + vector] = {exception};
    for (const u64 code : {e::intr, e::nmi, e::smi, e::iret}) // nothing is left to do
        all[code] = {external_interrupt};
    for (const u64 code : {e::rdpmc, e::invlpga, e::vmrun, e::vmload, e::vmsave, e::stgi, e::clgi, e::skinit,
                           e::monitor, e::mwait, e::rdpru})
        all[code] = {undefined};
    all[e::vintr]    = {interrupt_window};
    all[e::vmmcall]  = {hypercall, Instruction::vmmcall};
    all[e::cpuid]    = {cpuid, Instruction::cpuid};
    all[e::msr]      = {msr, Instruction::rdmsr};
    all[e::hlt]      = {hlt, Instruction::hlt};
    all[e::ioio]     = {io};
    all[e::xsetbv]   = {xsetbv, Instruction::xsetbv};
    all[e::invd]     = {wbinvd, Instruction::invd};
    all[e::wbinvd]   = {wbinvd, Instruction::wbinvd};
    all[e::shutdown] = {shutdown};
    all[e::pause]    = {spinning};
    return all;
}();

inline Exit_meaning meaning_of(u64 code)
{
    return code < kExitMeanings.size() ? kExitMeanings[code] : Exit_meaning{};
}

// What else there is to say of exits other than these.
void add_details(const Vmcb& vmcb, Vm_exit& exit);

// The guest executes 64-bit code: long mode, and CS says so.
inline bool is_long_code(const Vmcb& vmcb)
{
    return (vmcb.efer & efer::lma) && (vmcb.cs.attributes & segment_long);
}

inline Vm_exit decode_exit(const Vmcb& vmcb, u32 msr_index)
{
    if (vmcb.exitcode == exitcode::vmmcall) // most of those that want speed
        return {.kind               = Exit_kind::hypercall,
                .instruction_length = 0,
                .from_kernel        = vmcb.cpl == 0 && is_long_code(vmcb)};
    Vm_exit exit{.kind = meaning_of(vmcb.exitcode).kind, .instruction_length = 0, .from_kernel = false};
    if (exit.kind == Exit_kind::cpuid)
        return exit;
    if (exit.kind == Exit_kind::msr)
        exit.msr = {msr_index, (vmcb.exitinfo1 & 1) != 0};
    else
        add_details(vmcb, exit);
    return exit;
}

// The instruction behind an exit whose length the CPU could have saved, if any.
inline Intercepted_instruction exiting_instruction(u64 code, bool msr_write)
{
    return msr_write ? Intercepted_instruction::wrmsr : meaning_of(code).instruction;
}

} // namespace vmm::svm

// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/decode/svm_exit.hpp"

#include <array>

namespace vmm::svm
{
namespace
{

// EXITINFO1 of an I/O intercept. [APM2 15.10.2]
Io_access decode_io(u64 info)
{
    Io_access io{};
    io.port   = static_cast<u16>(info >> 16);
    io.size   = static_cast<u8>((info >> 4) & 7);
    io.in     = info & bit(0);
    io.string = info & bit(2);
    io.rep    = info & bit(3);
    return io;
}

// EXITINFO1 of a nested page fault is a page fault error code with two bits that say whose access it was.
// [APM2 15.25.6]
Nested_fault decode_nested_fault(u64 info1, u64 info2)
{
    Nested_fault fault{};
    fault.gpa       = Gpa(info2);
    fault.present   = info1 & bit(0);
    fault.write     = info1 & bit(1);
    fault.fetch     = info1 & bit(4);
    fault.page_walk = info1 & bit(33);
    return fault;
}

// What an exit code below the nested fault's says by itself.
struct Meaning {
    Exit_kind kind = Exit_kind::unknown;
    std::optional<Intercepted_instruction> instruction{};
};
constexpr auto kMeanings = [] {
    namespace e = exitcode;
    using enum Exit_kind;
    using Instruction = Intercepted_instruction;
    std::array<Meaning, e::rdpru + 1> all{};
    for (unsigned vector = 0; vector < 32; ++vector)
        all[e::exception_base + vector] = {exception};
    for (const u64 code : {e::intr, e::nmi, e::smi})
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

} // namespace

Vm_exit decode_exit(const Vmcb& vmcb, u32 msr_index)
{
    const u64 code = vmcb.exitcode;
    Vm_exit exit{.kind = Exit_kind::unknown, .instruction_length = 0, .interrupt_waits = false, .code = code};
    if (code == exitcode::npf) {
        exit.kind  = Exit_kind::nested_fault;
        exit.fault = decode_nested_fault(vmcb.exitinfo1, vmcb.exitinfo2);
        return exit;
    }
    if (code >= kMeanings.size()) {
        if (code == exitcode::invalid)
            exit.kind = Exit_kind::entry_failure;
        return exit;
    }
    exit.kind = kMeanings[code].kind;
    if (exit.kind == Exit_kind::msr) {
        exit.msr = {msr_index, (vmcb.exitinfo1 & 1) != 0};
    } else if (exit.kind == Exit_kind::io) {
        exit.io                 = decode_io(vmcb.exitinfo1);
        exit.instruction_length = static_cast<u8>(vmcb.exitinfo2 - vmcb.rip);
    } else if (exit.kind == Exit_kind::exception) {
        const u8 vector = static_cast<u8>(code - exitcode::exception_base);
        // Of the intercepted vectors only #AC (17) pushes an error code, always 0.
        exit.exception  = {vector, vector == 17, static_cast<u32>(vmcb.exitinfo1), 0};
    }
    return exit;
}

std::optional<Intercepted_instruction> exiting_instruction(u64 code, bool msr_write)
{
    if (code >= kMeanings.size())
        return std::nullopt;
    return msr_write ? Intercepted_instruction::wrmsr : kMeanings[code].instruction;
}

} // namespace vmm::svm

// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/decode/vmx_exit.hpp"

#include "arch/x86/regs/control.hpp"
#include "arch/x86/regs/vmcs.hpp"

#include <array>

namespace vmm::vmx
{
namespace
{

// [SDM3 table 28-5]
Io_access decode_io(u64 qualification)
{
    Io_access io{};
    io.size   = static_cast<u8>((qualification & 7) + 1);
    io.in     = qualification & bit(3);
    io.string = qualification & bit(4);
    io.rep    = qualification & bit(5);
    io.port   = static_cast<u16>(qualification >> 16);
    return io;
}

// [SDM3 table 28-7]
Nested_fault decode_ept_violation(u64 qualification, u64 gpa)
{
    Nested_fault fault{};
    fault.gpa       = Gpa(gpa);
    fault.write     = qualification & bit(1);
    fault.fetch     = qualification & bit(2);
    fault.present   = (qualification & (bit(3) | bit(4) | bit(5))) != 0;
    fault.page_walk = (qualification & bit(7)) && !(qualification & bit(8));
    return fault;
}

// Whether the exit is an instruction that will be stepped over: then its length counts.
struct Meaning {
    Exit_kind kind   = Exit_kind::unknown;
    bool instruction = false;
};
constexpr auto kMeanings = [] {
    namespace r = reason;
    using enum Exit_kind;
    std::array<Meaning, r::xrstors + 1> all{};
    all[r::exception] = {exception};
    all[r::external] = all[r::preemption_timer] = {external_interrupt};
    all[r::triple_fault]                        = {shutdown};
    for (const u32 window : {r::interrupt_window, r::nmi_window, r::tpr_threshold})
        all[window] = {interrupt_window};
    all[r::cpuid]  = {cpuid, true};
    all[r::hlt]    = {hlt, true};
    all[r::vmcall] = {hypercall, true};
    all[r::io]     = {io, true};
    all[r::rdmsr] = all[r::wrmsr] = {msr, true};
    all[r::invd] = all[r::wbinvd] = {wbinvd, true};
    all[r::xsetbv]                = {xsetbv, true};
    all[r::ept_violation]         = {nested_fault};
    all[r::pause]                 = {spinning};
    all[r::virtual_eoi]           = {end_of_interrupt};
    all[r::apic_write]            = {msr}; // the CPU has executed it
    for (const u32 instruction : {r::getsec, r::rdpmc, r::rsm, r::mwait, r::monitor, r::invept, r::invvpid,
                                  r::rdtscp, r::invpcid, r::vmfunc, r::xsaves, r::xrstors})
        all[instruction] = {undefined};
    for (u32 instruction = r::vmclear; instruction <= r::vmxon; ++instruction)
        all[instruction] = {undefined};
    return all;
}();

} // namespace

Vm_exit decode_exit(const Exit_fields& fields, u32 msr_index)
{
    const u32 why = fields.reason & reason::mask;
    Vm_exit exit{.kind = Exit_kind::unknown, .instruction_length = 0, .code = fields.reason};
    if (fields.reason & kEntryFailed) {
        exit.kind = Exit_kind::entry_failure;
        return exit;
    }
    if (why >= kMeanings.size())
        return exit;
    exit.kind = kMeanings[why].kind;
    if (kMeanings[why].instruction)
        exit.instruction_length = static_cast<u8>(fields.instruction_length);
    switch (exit.kind) {
    case Exit_kind::msr: exit.msr = {msr_index, why != reason::rdmsr}; break;
    case Exit_kind::end_of_interrupt: exit.vector = static_cast<u8>(fields.qualification); break;
    case Exit_kind::io: exit.io = decode_io(fields.qualification); break;
    case Exit_kind::nested_fault: exit.fault = decode_ept_violation(fields.qualification, fields.gpa); break;
    case Exit_kind::exception:
        if ((fields.event & event::type_mask) == event::type_nmi) // the host has taken it
            exit.kind = Exit_kind::external_interrupt;
        else
            exit.exception = {static_cast<u8>(fields.event & event::vector_mask),
                              (fields.event & event::error_valid) != 0, fields.error_code};
        break;
    default: break;
    }
    return exit;
}

std::optional<Move_to_control_register> decode_control_register(u64 qualification)
{
    if (field(qualification, 5, 4) != 0)
        return std::nullopt;
    return Move_to_control_register{static_cast<u8>(field(qualification, 3, 0)),
                                    static_cast<u8>(field(qualification, 11, 8))};
}

} // namespace vmm::vmx

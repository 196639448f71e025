// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/decode/svm_exit.hpp"

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

Vm_exit decode_exception(const Vmcb& vmcb)
{
    Vm_exit exit{.kind = Exit_kind::exception, .instruction_length = 0, .code = 0};
    const u8 vector = static_cast<u8>(vmcb.exitcode - exitcode::exception_base);
    // Of the intercepted vectors only #AC (17) pushes an error code, always 0.
    exit.exception  = {vector, vector == 17, static_cast<u32>(vmcb.exitinfo1), 0};
    return exit;
}

} // namespace

Vm_exit decode_exit(const Vmcb& vmcb, u32 msr_index)
{
    Vm_exit exit{.kind = Exit_kind::unknown, .instruction_length = 0, .code = vmcb.exitcode};
    switch (vmcb.exitcode) {
    case exitcode::intr:
    case exitcode::nmi:
    case exitcode::smi: exit.kind = Exit_kind::external_interrupt; break;
    case exitcode::vintr: exit.kind = Exit_kind::interrupt_window; break;
    case exitcode::vmmcall: exit.kind = Exit_kind::hypercall; break;
    case exitcode::cpuid: exit.kind = Exit_kind::cpuid; break;
    case exitcode::msr:
        exit.kind = Exit_kind::msr;
        exit.msr  = {msr_index, (vmcb.exitinfo1 & 1) != 0};
        break;
    case exitcode::hlt: exit.kind = Exit_kind::hlt; break;
    case exitcode::ioio:
        exit.kind               = Exit_kind::io;
        exit.io                 = decode_io(vmcb.exitinfo1);
        exit.instruction_length = static_cast<u8>(vmcb.exitinfo2 - vmcb.rip);
        break;
    case exitcode::npf:
        exit.kind  = Exit_kind::nested_fault;
        exit.fault = decode_nested_fault(vmcb.exitinfo1, vmcb.exitinfo2);
        break;
    case exitcode::xsetbv: exit.kind = Exit_kind::xsetbv; break;
    case exitcode::invd:
    case exitcode::wbinvd: exit.kind = Exit_kind::wbinvd; break;
    case exitcode::shutdown: exit.kind = Exit_kind::shutdown; break;
    case exitcode::invalid: exit.kind = Exit_kind::entry_failure; break;
    case exitcode::rdpmc:
    case exitcode::invlpga:
    case exitcode::vmrun:
    case exitcode::vmload:
    case exitcode::vmsave:
    case exitcode::stgi:
    case exitcode::clgi:
    case exitcode::skinit:
    case exitcode::monitor:
    case exitcode::mwait:
    case exitcode::rdpru: exit.kind = Exit_kind::undefined; break;
    default:
        if (vmcb.exitcode >= exitcode::exception_base && vmcb.exitcode < exitcode::exception_base + 32)
            return decode_exception(vmcb);
        break;
    }
    return exit;
}

std::optional<Intercepted_instruction> exiting_instruction(u64 code, bool msr_write)
{
    switch (code) {
    case exitcode::vmmcall: return Intercepted_instruction::vmmcall;
    case exitcode::cpuid: return Intercepted_instruction::cpuid;
    case exitcode::msr: return msr_write ? Intercepted_instruction::wrmsr : Intercepted_instruction::rdmsr;
    case exitcode::hlt: return Intercepted_instruction::hlt;
    case exitcode::xsetbv: return Intercepted_instruction::xsetbv;
    case exitcode::invd: return Intercepted_instruction::invd;
    case exitcode::wbinvd: return Intercepted_instruction::wbinvd;
    default: return std::nullopt;
    }
}

} // namespace vmm::svm

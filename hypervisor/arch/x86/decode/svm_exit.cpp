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

} // namespace

void add_details(const Vmcb& vmcb, Vm_exit& exit)
{
    const u64 code = vmcb.exitcode;
    exit.code      = code;
    if (code == exitcode::npf) {
        exit.kind  = Exit_kind::nested_fault;
        exit.fault = decode_nested_fault(vmcb.exitinfo1, vmcb.exitinfo2);
    } else if (code == exitcode::invalid) {
        exit.kind = Exit_kind::entry_failure;
    } else if (exit.kind == Exit_kind::io) {
        exit.io                 = decode_io(vmcb.exitinfo1);
        exit.instruction_length = static_cast<u8>(vmcb.exitinfo2 - vmcb.rip);
    } else if (exit.kind == Exit_kind::exception) {
        const u8 vector = static_cast<u8>(code - exitcode::exception_base);
        // Of the intercepted vectors only #AC (17) pushes an error code, always 0.
        exit.exception  = {vector, vector == 17, static_cast<u32>(vmcb.exitinfo1)};
    }
}

} // namespace vmm::svm

// SPDX-License-Identifier: Apache-2.0
//
// Recorded VMCB exit fields and what they mean. The values are those of QEMU's and of real CPUs' exits.
#include "arch/x86/decode/svm_exit.hpp"

#include <catch2/catch.hpp>

#include <memory>

using namespace vmm;

namespace
{

Vm_exit decode(u64 code, u64 info1 = 0, u64 info2 = 0, u64 rip = 0, u32 msr = 0)
{
    auto vmcb       = std::make_unique<svm::Vmcb>();
    vmcb->exitcode  = code;
    vmcb->exitinfo1 = info1;
    vmcb->exitinfo2 = info2;
    vmcb->rip       = rip;
    return svm::decode_exit(*vmcb, msr);
}

} // namespace

TEST_CASE("plain exits")
{
    CHECK(decode(0x81).kind == Exit_kind::hypercall);
    CHECK(decode(0x72).kind == Exit_kind::cpuid);
    CHECK(decode(0x78).kind == Exit_kind::hlt);
    CHECK(decode(0x60).kind == Exit_kind::external_interrupt);
    CHECK(decode(0x61).kind == Exit_kind::external_interrupt);
    CHECK(decode(0x64).kind == Exit_kind::interrupt_window);
    CHECK(decode(0x7f).kind == Exit_kind::shutdown);
    CHECK(decode(0x8d).kind == Exit_kind::xsetbv);
    CHECK(decode(0x89).kind == Exit_kind::wbinvd);
    CHECK(decode(0x76).kind == Exit_kind::wbinvd);
    CHECK(decode(0x77).kind == Exit_kind::spinning);
}

TEST_CASE("instructions guests do not have are undefined to them")
{
    for (const u64 code : {0x6fu, 0x7au, 0x80u, 0x82u, 0x83u, 0x84u, 0x85u, 0x86u, 0x8au, 0x8bu, 0x8eu})
        CHECK(decode(code).kind == Exit_kind::undefined);
}

TEST_CASE("MSR accesses")
{
    const auto read = decode(0x7c, 0, 0, 0, 0xc0000080);
    CHECK(read.kind == Exit_kind::msr);
    CHECK(!read.msr.write);
    CHECK(read.msr.index == 0xc0000080);
    CHECK(decode(0x7c, 1, 0, 0, 0x1b).msr.write);
}

TEST_CASE("port accesses carry the next RIP themselves")
{
    // in (%dx), %al at 0x1000 from port 0x3fd
    const auto in = decode(0x7b, 0x03fd'0011 | 1, 0x1001, 0x1000);
    CHECK(in.kind == Exit_kind::io);
    CHECK(in.io.port == 0x3fd);
    CHECK(in.io.size == 1);
    CHECK(in.io.in);
    CHECK(!in.io.string);
    CHECK(in.instruction_length == 1);
    // out %eax, $0xcf8
    const auto out = decode(0x7b, 0x0cf8'0040, 0x2002, 0x2000);
    CHECK(out.io.port == 0xcf8);
    CHECK(out.io.size == 4);
    CHECK(!out.io.in);
    CHECK(out.instruction_length == 2);
    // rep outsw
    const auto outs = decode(0x7b, 0x0060'002c, 0x3003, 0x3000);
    CHECK(outs.io.size == 2);
    CHECK(outs.io.string);
    CHECK(outs.io.rep);
}

TEST_CASE("nested page faults")
{
    const auto read = decode(0x400, 0x1'0000'0004, 0xfec00010);
    CHECK(read.kind == Exit_kind::nested_fault);
    CHECK(read.fault.gpa == Gpa(0xfec00010));
    CHECK(!read.fault.write);
    CHECK(!read.fault.present);
    CHECK(!read.fault.page_walk);
    CHECK(decode(0x400, 0x1'0000'0006, 0).fault.write);
    CHECK(decode(0x400, 0x1'0000'0005, 0).fault.present);
    CHECK(decode(0x400, 0x1'0000'0014, 0).fault.fetch);
    CHECK(decode(0x400, 0x2'0000'0006, 0).fault.page_walk);
}

TEST_CASE("exceptions")
{
    const auto alignment = decode(0x40 + 17, 0);
    CHECK(alignment.kind == Exit_kind::exception);
    CHECK(alignment.exception.vector == 17);
    CHECK(alignment.exception.has_error_code);
    const auto debug = decode(0x40 + 1);
    CHECK(debug.exception.vector == 1);
    CHECK(!debug.exception.has_error_code);
}

TEST_CASE("what the CPU refuses, and what nobody knows, keeps its code")
{
    CHECK(decode(~0ull).kind == Exit_kind::entry_failure);
    const auto unknown = decode(0x403);
    CHECK(unknown.kind == Exit_kind::unknown);
    CHECK(unknown.code == 0x403);
}

TEST_CASE("which instruction has to be measured")
{
    using enum Intercepted_instruction;
    CHECK(svm::exiting_instruction(0x81, false) == vmmcall);
    CHECK(svm::exiting_instruction(0x7c, false) == rdmsr);
    CHECK(svm::exiting_instruction(0x7c, true) == wrmsr);
    CHECK(svm::exiting_instruction(0x7b, false) == none);
    CHECK(svm::exiting_instruction(0x400, false) == none);
}

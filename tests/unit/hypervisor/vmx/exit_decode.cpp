// SPDX-License-Identifier: Apache-2.0
//
// Recorded exit fields of a VMCS and what they mean.
#include "arch/x86/decode/vmx_exit.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using vmx::decode_exit;

TEST_CASE("vmx: plain exits, and which instructions are stepped over")
{
    const auto kind = [](u32 reason) { return decode_exit({.reason = reason, .instruction_length = 3}, 0); };
    CHECK(kind(18).kind == Exit_kind::hypercall);
    CHECK(kind(18).instruction_length == 3);
    CHECK(kind(10).kind == Exit_kind::cpuid);
    CHECK(kind(12).kind == Exit_kind::hlt);
    CHECK(kind(1).kind == Exit_kind::external_interrupt);
    CHECK(kind(1).instruction_length == 0);
    for (const u32 window : {7u, 8u, 43u})
        CHECK(kind(window).kind == Exit_kind::interrupt_window);
    CHECK(kind(2).kind == Exit_kind::shutdown);
    CHECK(kind(55).kind == Exit_kind::xsetbv);
    CHECK(kind(40).kind == Exit_kind::spinning);
    CHECK(kind(40).instruction_length == 0);
    CHECK(kind(13).kind == Exit_kind::wbinvd);
    CHECK(kind(54).kind == Exit_kind::wbinvd);
}

TEST_CASE("vmx: instructions guests do not have are undefined to them")
{
    for (const u32 reason : {11u, 15u, 17u, 19u, 23u, 27u, 36u, 39u, 50u, 53u, 59u, 64u})
        CHECK(decode_exit({.reason = reason}, 0).kind == Exit_kind::undefined);
}

TEST_CASE("vmx: MSR accesses")
{
    const auto read = decode_exit({.reason = 31, .instruction_length = 2}, 0xc0000080);
    CHECK(read.kind == Exit_kind::msr);
    CHECK(!read.msr.write);
    CHECK(read.msr.index == 0xc0000080);
    CHECK(read.instruction_length == 2);
    CHECK(decode_exit({.reason = 32}, 0x1b).msr.write);
}

TEST_CASE("vmx: port accesses")
{
    // in (%dx), %al from port 0x3fd
    const auto in = decode_exit({.reason = 30, .qualification = 0x03fd'0008, .instruction_length = 1}, 0);
    CHECK(in.kind == Exit_kind::io);
    CHECK(in.io.port == 0x3fd);
    CHECK(in.io.size == 1);
    CHECK(in.io.in);
    CHECK(in.instruction_length == 1);
    // out %eax, $0xcf8
    const auto out = decode_exit({.reason = 30, .qualification = 0x0cf8'0043, .instruction_length = 2}, 0);
    CHECK(out.io.port == 0xcf8);
    CHECK(out.io.size == 4);
    CHECK(!out.io.in);
    // rep outsw
    const auto outs = decode_exit({.reason = 30, .qualification = 0x0060'0031, .instruction_length = 3}, 0);
    CHECK(outs.io.size == 2);
    CHECK(outs.io.string);
    CHECK(outs.io.rep);
}

TEST_CASE("vmx: the virtual APIC's exits come after their instruction")
{
    const auto ended = decode_exit({.reason = 45, .qualification = 0x52, .instruction_length = 2}, 0x80b);
    CHECK(ended.kind == Exit_kind::end_of_interrupt);
    CHECK(ended.vector == 0x52);
    CHECK(ended.instruction_length == 0);
    const auto write = decode_exit({.reason = 56, .qualification = 0x3f0, .instruction_length = 2}, 0x83f);
    CHECK(write.kind == Exit_kind::msr);
    CHECK(write.msr.write);
    CHECK(write.msr.index == 0x83f);
    CHECK(write.instruction_length == 0);
}

TEST_CASE("vmx: EPT violations")
{
    const auto read = decode_exit({.reason = 48, .qualification = 0x181, .gpa = 0xfec00010}, 0);
    CHECK(read.kind == Exit_kind::nested_fault);
    CHECK(read.fault.gpa == Gpa(0xfec00010));
    CHECK(!read.fault.write);
    CHECK(!read.fault.present);
    CHECK(!read.fault.page_walk);
    CHECK(decode_exit({.reason = 48, .qualification = 0x182}, 0).fault.write);
    CHECK(decode_exit({.reason = 48, .qualification = 0x1aa}, 0).fault.present); // read-only
    CHECK(decode_exit({.reason = 48, .qualification = 0x184}, 0).fault.fetch);
    CHECK(decode_exit({.reason = 48, .qualification = 0x083}, 0).fault.page_walk);
}

TEST_CASE("vmx: exceptions and NMIs share a reason")
{
    const auto alignment = decode_exit({.reason = 0, .event = 0x80000b11}, 0);
    CHECK(alignment.kind == Exit_kind::exception);
    CHECK(alignment.exception.vector == 17);
    CHECK(alignment.exception.has_error_code);
    const auto debug = decode_exit({.reason = 0, .event = 0x80000301}, 0);
    CHECK(debug.exception.vector == 1);
    CHECK(!debug.exception.has_error_code);
    CHECK(decode_exit({.reason = 0, .event = 0x80000202}, 0).kind == Exit_kind::external_interrupt);
}

TEST_CASE("vmx: what the CPU refuses, and what nobody knows, keeps its code")
{
    const auto refused = decode_exit({.reason = 0x80000021}, 0);
    CHECK(refused.kind == Exit_kind::entry_failure);
    CHECK(refused.code == 0x80000021);
    for (const u32 unknown : {9u, 49u, 1000u})
        CHECK(decode_exit({.reason = unknown}, 0).kind == Exit_kind::unknown);
}

TEST_CASE("vmx: moves to control registers")
{
    const auto move = vmx::decode_control_register(0x004); // mov %rax, %cr4
    REQUIRE(move);
    CHECK(move->number == 4);
    CHECK(move->general == 0);
    CHECK(vmx::decode_control_register(0xf00)->general == 15);
    CHECK_FALSE(vmx::decode_control_register(0x010)); // mov from
    CHECK_FALSE(vmx::decode_control_register(0x020)); // clts
}

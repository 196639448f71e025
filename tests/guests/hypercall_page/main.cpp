// SPDX-License-Identifier: Apache-2.0
//
// The hypercall page, by which older kernels and other systems call. [arch-x86/cpuid.h, leaf base+2]
//
// Writing the page's address to the MSR that CPUID names fills it with one stub of 32 bytes a hypercall,
// which puts the number into EAX, calls by the instruction of the CPU's vendor and returns. Calls through it
// answer as direct ones do and keep all registers but the result. The slot of iret, which means nothing to
// such a guest, is an undefined instruction. Page numbers other than 0, and addresses without memory, fault
// or change nothing.
//
// Multicall does a list of calls at once and leaves each result in its entry.
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;

const char* const kTestName = "hypercall_page";

namespace
{

constexpr u64 kStub              = 32;
constexpr u32 kUndefined         = 6;
constexpr u32 kGeneralProtection = 13;

alignas(4096) constinit Page page{};

const void* stub(u32 number) { return page.bytes + number * kStub; }

s64 call_page(u32 number, u64 a1, u64 a2)
{
    s64 result                  = 0;
    u64 rbx                     = 0x1111;
    register u64 r12 asm("r12") = 0x2222;
    asm volatile("call *%[stub]"
                 : "=a"(result), "+D"(a1), "+S"(a2), "+b"(rbx), "+r"(r12)
                 : [stub] "r"(stub(number))
                 : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    CHECK(rbx == 0x1111 && r12 == 0x2222);
    return result;
}

void check_multicall()
{
    xen_feature_info features{};
    multicall_entry calls[3]{};
    calls[0].op      = __HYPERVISOR_xen_version;
    calls[0].args[0] = XENVER_version;
    calls[1].op      = 63;
    calls[2].op      = __HYPERVISOR_xen_version;
    calls[2].args[0] = XENVER_get_features;
    calls[2].args[1] = gpa_of(&features);
    CHECK_EQUAL(hypercall(__HYPERVISOR_multicall, gpa_of(calls), 3), 0);
    CHECK_EQUAL(calls[0].result, 4 << 16 | 17);
    CHECK_EQUAL(static_cast<s64>(calls[1].result), -XEN_ENOSYS);
    CHECK_EQUAL(calls[2].result, 0);
    CHECK(features.submap != 0);
    CHECK_EQUAL(hypercall(__HYPERVISOR_multicall, gpa_of(calls), 0), 0);
}

} // namespace

void test_main()
{
    const u32 base = hypervisor_leaf();
    NEED(base != 0);
    const Cpuid where = cpuid(base + 2);
    NEED(where.eax == 1);
    CHECK_EQUAL(wrmsr_safe(where.ebx, gpa_of(&page)), kNoFault);
    CHECK_EQUAL(call_page(__HYPERVISOR_xen_version, XENVER_version, 0), 4 << 16 | 17);
    CHECK_EQUAL(call_page(63, 0, 0), -XEN_ENOSYS);
    CHECK_EQUAL(call_page(__HYPERVISOR_event_channel_op, EVTCHNOP_send, 0x7000'0000'0000), -XEN_EFAULT);
    CHECK_EQUAL(call_safe(stub(__HYPERVISOR_iret)), kUndefined);

    CHECK_EQUAL(wrmsr_safe(where.ebx, gpa_of(&page) | 1), kGeneralProtection); // there is no page 1
    CHECK_EQUAL(wrmsr_safe(where.ebx, 0x6000'0000), kGeneralProtection);
    CHECK_EQUAL(call_page(__HYPERVISOR_xen_version, XENVER_version, 0), 4 << 16 | 17);
    check_multicall();
}

// SPDX-License-Identifier: Apache-2.0
//
// From where a guest may call. [xen/include/public/arch-x86/xen.h, xen-x86_32.h]
//
// The kernel's privilege is needed: a call from user code answers -EPERM, whatever its number, and does
// nothing.
//
// 32-bit code has an ABI of its own, with other registers and smaller structures. Xen serves it; this
// hypervisor does not and answers as to calls that do not exist, -ENOSYS, leaves the registers alone, and
// says so in its log once for the domain, however often it is called.
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

#include <xen/sysctl.h>

#include <string_view>

using namespace vmm::guest;

const char* const kTestName = "hypercall_modes";

// From user code, through SYSRET and SYSCALL: the page's stub of `number` with `argument` in RDI; the result.
// From 32-bit code, through far jumps: the stub of `number` with `argument` in EBX.
extern "C" s64 call_as_user(const void* stub, u64 argument);
extern "C" s64 call_as_32bit(const void* stub, u64 argument);

asm(R"(
    .pushsection .text
call_as_user:
    push %rbx
    push %rdi
    push %rsi
    mov $0xc0000080, %ecx       # EFER.SCE
    rdmsr
    or $1, %eax
    wrmsr
    mov $0xc0000081, %ecx       # STAR: kernel segments from 0x08, user's from 0x10
    xor %eax, %eax
    mov $0x00100008, %edx
    wrmsr
    lea 2f(%rip), %rax          # LSTAR, in the first 4 GiB
    xor %edx, %edx
    mov $0xc0000082, %ecx
    wrmsr
    pop %rdi
    pop %rbx
    lea 1f(%rip), %rcx
    mov $2, %r11d
    sysretq
1:  call *%rbx
    syscall
2:  pop %rbx
    ret

call_as_32bit:
    push %rbx
    push %rbp
    mov %edi, %ebp
    mov %esi, %ebx
    push $0x18
    lea 1f(%rip), %rax
    push %rax
    lretq
    .code32
1:  call *%ebp
    ljmp $0x08, $2f
    .code64
2:  cltq
    cmp %esi, %ebx              # kept?
    je 3f
    mov $1, %eax
3:  pop %rbp
    pop %rbx
    ret
    .popsection
)");

namespace
{

alignas(4096) constinit Page page{};

const void* stub(u32 number) { return page.bytes + number * 32; }

// Those the guest began with, and one for 32-bit code.
constexpr u64 kSegments[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff};

void load_segments()
{
    struct [[gnu::packed]] {
        u16 limit;
        const void* base;
    } const table{sizeof kSegments - 1, kSegments};
    asm volatile("lgdt %0" : : "m"(table));
}

// How often the hypervisor's log says something.
u32 said(std::string_view what)
{
    static char text[32768];
    xen_sysctl op{};
    op.cmd               = XEN_SYSCTL_readconsole;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    auto& read           = op.u.readconsole;
    read.count           = sizeof text;
    set_xen_guest_handle(read.buffer, text);
    CHECK_EQUAL(hypercall(__HYPERVISOR_sysctl, gpa_of(&op)), 0);
    u32 times = 0;
    for (std::string_view left(text, read.count); !left.empty(); left.remove_prefix(1))
        times += left.starts_with(what);
    return times;
}

} // namespace

void test_main()
{
    const u32 base = hypervisor_leaf();
    NEED(base != 0);
    NEED(wrmsr_safe(cpuid(base + 2).ebx, gpa_of(&page)) == kNoFault);
    CHECK_EQUAL(call_as_user(stub(__HYPERVISOR_xen_version), XENVER_version), -XEN_EPERM);
    CHECK_EQUAL(call_as_user(stub(63), 0), -XEN_EPERM);
    CHECK_EQUAL(hypercall(__HYPERVISOR_xen_version, XENVER_version), 4 << 16 | 17);

    load_segments();
    const s64 version = call_as_32bit(stub(__HYPERVISOR_xen_version), XENVER_version);
    if (version == (4 << 16 | 17))
        return; // a hypervisor that has the 32-bit ABI
    CHECK_EQUAL(version, -XEN_ENOSYS);
    CHECK_EQUAL(call_as_32bit(stub(__HYPERVISOR_event_channel_op), EVTCHNOP_send), -XEN_ENOSYS);
    CHECK_EQUAL(hypercall(__HYPERVISOR_xen_version, XENVER_version), 4 << 16 | 17);
    CHECK_EQUAL(said("from 32-bit code"), 1);
}

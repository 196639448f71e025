// SPDX-License-Identifier: Apache-2.0
//
// From where a guest may call. [xen/include/public/arch-x86/xen.h, xen-x86_32.h]
//
// The kernel's privilege is needed: a call from user code answers -EPERM, whatever its number, and does
// nothing.
//
// 32-bit code has an ABI of its own, with other registers and smaller structures. Xen serves all of it; this
// hypervisor serves what boot loaders ask before a 64-bit kernel runs. Anything else it answers as calls that
// do not exist, -ENOSYS, and says so in its log once for the domain, however often it is called.
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

#include <xen/hvm/params.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>

#include <string_view>

using namespace vmm::guest;

const char* const kTestName = "hypercall_modes";

// From user code, through SYSRET and SYSCALL: the page's stub of `number` with `argument` in RDI; the result.
// From 32-bit code, through far jumps: the stub of `number` with the arguments in EBX and ECX.
extern "C" s64 call_as_user(const void* stub, u64 argument);
extern "C" s64 call_as_32bit(const void* stub, u64 first, u64 second);

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
    mov %edx, %ecx
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

// As those see them whose words have 32 bits. [xen/include/public/memory.h, grant_table.h]
struct Add_to_physmap {
    u16 domid, size;
    u32 space, idx, gpfn;
};
struct Memory_map {
    u32 nr_entries, buffer;
};

template <class Op>
s64 call_with(u32 number, u32 command, Op& op)
{
    return call_as_32bit(stub(number), command, gpa_of(&op));
}

void memory_calls()
{
    struct [[gnu::packed]] Entry {
        u64 start, size;
        u32 type;
    };
    static Entry narrow[32], wide[32];
    static xen_memory_map wide_map;
    wide_map.nr_entries = 32;
    set_xen_guest_handle(wide_map.buffer, wide);
    NEED(memory_op(XENMEM_memory_map, &wide_map) == 0);
    static Memory_map map;
    map = {32, static_cast<u32>(gpa_of(narrow))};
    CHECK_EQUAL(call_with(__HYPERVISOR_memory_op, XENMEM_memory_map, map), 0);
    CHECK_EQUAL(map.nr_entries, wide_map.nr_entries);
    CHECK_EQUAL(call_with(__HYPERVISOR_memory_op, XENMEM_memory_map | 1 << 6, map),
                -XEN_ENOSYS); // continued, which it never is
    for (u32 i = 0; i < map.nr_entries && i < 32; ++i)
        CHECK(narrow[i].start == wide[i].start && narrow[i].size == wide[i].size &&
              narrow[i].type == wide[i].type);

    // The shared page in place of one of its own: what was there has another content then.
    alignas(4096) static Page place;
    static volatile u32& word = *reinterpret_cast<volatile u32*>(place.bytes + 3072); // wc_version
    word                      = 0xabcdef01;
    static Add_to_physmap add;
    add = {DOMID_SELF, 0, XENMAPSPACE_shared_info, 0, static_cast<u32>(gpa_of(&place) >> 12)};
    CHECK_EQUAL(call_with(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, add), 0);
    CHECK(word != 0xabcdef01);
    add.idx = 1;
    CHECK_EQUAL(call_with(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, add), -XEN_EINVAL);
    CHECK_EQUAL(call_as_32bit(stub(__HYPERVISOR_memory_op), XENMEM_memory_map, 0xfffff000), -XEN_EFAULT);
}

void calls_of_boot_loaders()
{
    CHECK_EQUAL(call_as_32bit(stub(__HYPERVISOR_xen_version), XENVER_version, 0), 4 << 16 | 17);
    CHECK_EQUAL(call_as_32bit(stub(__HYPERVISOR_sched_op), SCHEDOP_yield, 0), 0);
    static xen_hvm_param param;
    param = {DOMID_SELF, 0, HVM_PARAM_CALLBACK_IRQ, 0};
    CHECK_EQUAL(call_with(__HYPERVISOR_hvm_op, HVMOP_get_param, param), 0);
    param.index = ~0u;
    CHECK_EQUAL(call_with(__HYPERVISOR_hvm_op, HVMOP_get_param, param), -XEN_EINVAL);
    static evtchn_alloc_unbound channel;
    channel = {DOMID_SELF, DOMID_SELF, 0};
    CHECK_EQUAL(call_with(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, channel), 0);
    CHECK(channel.port != 0);
    static evtchn_close close;
    close = {channel.port};
    CHECK_EQUAL(call_with(__HYPERVISOR_event_channel_op, EVTCHNOP_close, close), 0);
    memory_calls();
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
    calls_of_boot_loaders();
    if (call_as_32bit(stub(__HYPERVISOR_vcpu_op), VCPUOP_is_up, 0) != -XEN_ENOSYS)
        return; // a hypervisor that has all of the 32-bit ABI
    CHECK_EQUAL(call_as_32bit(stub(__HYPERVISOR_multicall), 0, 0), -XEN_ENOSYS);
    CHECK_EQUAL(hypercall(__HYPERVISOR_xen_version, XENVER_version), 4 << 16 | 17);
    CHECK_EQUAL(said("32-bit code makes hypercall"), 1);
}

// SPDX-License-Identifier: Apache-2.0
//
// What CPUID tells a guest. [xen/include/public/arch-x86/cpuid.h; APM3 E; SDM2 CPUID]
//
// The hypervisor's leaves are found by their signature within 0x40000000 to 0x4000ff00; the first of them
// counts at least up to base+4. Version 4.17, one hypercall page at MSR 0x40000000, and in leaf base+4 the
// vCPU's id, because Linux takes it from there.
//
// The ordinary leaves: the vendor is the machine's own (a foreign one would break the choice of VMCALL or
// VMMCALL); the hypervisor bit, x2APIC, TSC, APIC, long mode and NX are there. The initial APIC id is twice
// the vCPU's number in leaf 1, in leaf 0xb, and in the APIC itself. Nothing is offered that the hypervisor
// does not virtualise: no SVM, no VMX, no MONITOR, no TSC deadline timer. XSAVE's bits agree with CR4:
// OSXSAVE mirrors CR4.OSXSAVE. Asking beyond the last basic leaf does not reveal the machine's leaves of
// higher numbers.
#include "guest/apic.hpp"
#include "guest/cpu.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

#include <xen/arch-x86/cpuid.h>

using namespace vmm::guest;

const char* const kTestName = "cpuid_policy";

namespace
{

constexpr u32 bit(unsigned n) { return 1u << n; }

void check_hypervisor_leaves()
{
    const u32 base = hypervisor_leaf();
    NEED(base != 0);
    CHECK(cpuid(base).eax >= base + 4);
    CHECK_EQUAL(cpuid(base + 1).eax, 4u << 16 | 17u);
    CHECK_EQUAL(cpuid(base + 2).eax, 1);
    CHECK_EQUAL(cpuid(base + 2).ebx, 0x40000000);
    const Cpuid hvm = cpuid(base + 4);
    CHECK(hvm.eax & XEN_HVM_CPUID_VCPU_ID_PRESENT);
    CHECK_EQUAL(hvm.ebx, 0);
    if (hvm.eax & XEN_HVM_CPUID_DOMID_PRESENT)
        CHECK_EQUAL(hvm.ecx, 0);
}

void check_features()
{
    const Cpuid one = cpuid(1);
    CHECK(one.ecx & bit(31));    // hypervisor
    CHECK(one.ecx & bit(21));    // x2APIC
    CHECK(one.edx & bit(4));     // TSC
    CHECK(one.edx & bit(9));     // APIC
    CHECK(one.edx & bit(6));     // PAE
    CHECK(!(one.ecx & bit(3)));  // MONITOR
    CHECK(!(one.ecx & bit(5)));  // VMX
    CHECK(!(one.ecx & bit(24))); // TSC deadline
    const Cpuid extended = cpuid(0x80000001);
    CHECK(extended.edx & bit(29));   // long mode
    CHECK(extended.edx & bit(20));   // NX
    CHECK(!(extended.ecx & bit(2))); // SVM
    CHECK((cpuid(0x80000008).eax & 0xff) >= 36);
}

void check_apic_id()
{
    apic::start();
    const u32 id = static_cast<u32>(rdmsr(apic::id));
    CHECK_EQUAL(id, 0);
    CHECK_EQUAL(cpuid(1).ebx >> 24, id);
    if (cpuid(0).eax >= 0xb)
        CHECK_EQUAL(cpuid(0xb).edx, id);
}

void check_osxsave()
{
    constexpr u64 kOsxsave = 1u << 18;
    if (!(cpuid(1).ecx & bit(26)))
        return; // no XSAVE on this machine
    CHECK(!(cpuid(1).ecx & bit(27)));
    write_cr4(read_cr4() | kOsxsave);
    CHECK(cpuid(1).ecx & bit(27));
    CHECK_EQUAL(xsetbv_safe(0, 3), kNoFault);
    CHECK(cpuid(0xd).ebx >= 512 + 64);
    CHECK_EQUAL(xsetbv_safe(0, 2), 13); // x87 state cannot be left out
    CHECK_EQUAL(xsetbv_safe(1, 1), 13);
    write_cr4(read_cr4() & ~kOsxsave);
    CHECK(!(cpuid(1).ecx & bit(27)));
}

} // namespace

void test_main()
{
    NEED(cpuid(0).eax >= 1);
    check_hypervisor_leaves();
    check_features();
    check_apic_id();
    check_osxsave();
    const Cpuid beyond = cpuid(0x40010000);
    CHECK(beyond.ebx != 0x566e6558);
}

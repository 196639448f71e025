// SPDX-License-Identifier: Apache-2.0
//
// The MSRs by which a guest protects itself against leaks by speculation.
//
// Each is there exactly when CPUID says so: SPEC_CTRL (0x48), PRED_CMD (0x49), ARCH_CAPABILITIES (0x10a),
// FLUSH_CMD (0x10b); otherwise it faults like any MSR that does not exist. SPEC_CTRL is 0 at the start and
// refuses bits whose feature CPUID does not show; the commands refuse them too, cannot be read, and take 0
// and 1. ARCH_CAPABILITIES cannot be written and names no MSR that is not there. What is in SPEC_CTRL is this
// vCPU's own: it stays while another domain, and the hypervisor between, have other values. (QEMU's
// interpreter has the bits in CPUID, but no such register: there every write is forgotten.)
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

#include <xen/version.h>

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "spec_ctrl";

namespace
{

constexpr u32 kGeneralProtection = 13;
constexpr u32 kSpecCtrl = 0x48, kPredCmd = 0x49, kArchCapabilities = 0x10a, kFlushCmd = 0x10b;

constexpr u32 bit(unsigned n) { return 1u << n; }

u32 leaf7_edx() { return cpuid(0).eax >= 7 ? cpuid(7).edx : 0; }
u32 extended8_ebx() { return cpuid(0x80000000).eax >= 0x80000008 ? cpuid(0x80000008).ebx : 0; }

bool has_ibpb() { return (leaf7_edx() & bit(26)) || (extended8_ebx() & bit(12)); }
bool has_ibrs() { return (leaf7_edx() & bit(26)) || (extended8_ebx() & bit(14)); }
bool has_stibp() { return (leaf7_edx() & (bit(26) | bit(27))) || (extended8_ebx() & bit(15)); }
bool has_ssbd() { return (leaf7_edx() & bit(31)) || (extended8_ebx() & bit(24)); }
bool has_spec_ctrl() { return has_ibrs() || has_stibp() || has_ssbd(); }

u32 read_fault(u32 index)
{
    u64 value = 0;
    return rdmsr_safe(index, value);
}

void takes(u32 index, u64 value)
{
    if (wrmsr_safe(index, value) != kNoFault)
        NOTE(failure, "MSR ", hex(index), " refuses ", hex(value));
}

void refuses(u32 index, u64 value)
{
    if (wrmsr_safe(index, value) != kGeneralProtection)
        NOTE(failure, "MSR ", hex(index), " accepts ", hex(value));
}

void check_command(u32 index, bool there)
{
    CHECK_EQUAL(read_fault(index), kGeneralProtection);
    refuses(index, bit(1));
    refuses(index, 1ull << 63);
    if (there) {
        takes(index, 0);
        takes(index, 1);
    } else {
        refuses(index, 0);
        refuses(index, 1);
    }
}

void check_capabilities()
{
    // TSX_CTRL, MCU_CTRL, MISC_PACKAGE_CTLS, ENERGY_FILTERING, DOITM, FB_CLEAR_CTRL, XAPIC_DISABLE_STATUS,
    // OVERCLOCKING_STATUS, GDS_CTRL
    constexpr u64 naming =
        bit(7) | bit(9) | bit(10) | bit(11) | bit(12) | bit(18) | bit(21) | bit(23) | bit(25);
    u64 value       = 0;
    const u32 fault = rdmsr_safe(kArchCapabilities, value);
    CHECK_EQUAL(fault, leaf7_edx() & bit(29) ? kNoFault : kGeneralProtection);
    CHECK_EQUAL(value & naming, 0);
    refuses(kArchCapabilities, 0);
}

// Nothing else leaves and comes back to a guest as surely as a hypercall does.
void leave_and_return() { CHECK(hypercall(__HYPERVISOR_xen_version, XENVER_version, 0) > 0); }

void check_spec_ctrl()
{
    u64 value = 0;
    CHECK_EQUAL(rdmsr_safe(kSpecCtrl, value), kNoFault);
    CHECK_EQUAL(value, 0);
    refuses(kSpecCtrl, bit(9));
    refuses(kSpecCtrl, 1ull << 32);
    if (!has_ssbd())
        refuses(kSpecCtrl, bit(2));
    takes(kSpecCtrl, 0);
    CHECK_EQUAL(rdmsr(kSpecCtrl), 0);
}

u64 usable_bits() { return (has_ibrs() ? 1 : 0) | (has_ssbd() ? 4 : 0); }

// Whether this machine's SPEC_CTRL is a register: the interpreter is AMD's CPU, and forgets.
bool machine_forgets()
{
    constexpr u32 auth = 0x68747541;
    takes(kSpecCtrl, usable_bits());
    return cpuid(0).ebx == auth && rdmsr(kSpecCtrl) == 0;
}

void check_two_domains()
{
    const u64 mine = usable_bits();
    CHECK_EQUAL(rdmsr(kSpecCtrl), mine);
    leave_and_return();
    CHECK_EQUAL(rdmsr(kSpecCtrl), mine);
    NEED(map_shared_info() == 0);
    Child child;
    NEED(child.build());
    NEED(child.unpause() == 0);
    NEED(child.wait_for_stage(1));
    CHECK_EQUAL(child.mailbox().values[0], 0);
    CHECK_EQUAL(rdmsr(kSpecCtrl), mine);
    takes(kSpecCtrl, 0);
    child.mailbox().order = 1;
    NEED(child.wait_for_stage(2));
    CHECK_EQUAL(child.mailbox().values[1], mine & ~u64{1});
    CHECK_EQUAL(rdmsr(kSpecCtrl), 0);
    takes(kSpecCtrl, mine);
    child.destroy();
    CHECK_EQUAL(rdmsr(kSpecCtrl), mine);
}

} // namespace

void child_main()
{
    Mailbox& mailbox  = my_mailbox();
    mailbox.values[0] = static_cast<s64>(rdmsr(kSpecCtrl));
    wrmsr(kSpecCtrl, usable_bits() & ~u64{1});
    mailbox.stage = 1;
    while (mailbox.order == 0)
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
    mailbox.values[1] = static_cast<s64>(rdmsr(kSpecCtrl));
    mailbox.stage     = 2;
    for (;;)
        hypercall(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

void test_main()
{
    check_command(kPredCmd, has_ibpb());
    check_command(kFlushCmd, leaf7_edx() & bit(28));
    check_capabilities();
    if (!has_spec_ctrl()) {
        CHECK_EQUAL(read_fault(kSpecCtrl), kGeneralProtection);
        refuses(kSpecCtrl, 0);
        print("without SPEC_CTRL");
        return;
    }
    check_spec_ctrl();
    if (machine_forgets())
        print("this machine has no SPEC_CTRL behind its CPUID bits");
    else
        check_two_domains();
}

// SPDX-License-Identifier: Apache-2.0
//
// What domctl and sysctl answer to the domain that may use them, where the answer is not a plain 0.
//
// Which error comes first is part of it: an interface version that is not 4.17's before anything else, a
// domain that is not there before what is wrong with the operation. Nobody stops itself or changes what it is
// running on. getdomaininfo tells of the first domain from an id on, which is how tools find all of them. CPU
// policies go out whole or not at all (-ENOBUFS); one that counts further than this machine's, has a leaf no
// policy has, or comes when the domain has already run is refused, with the place of the fault; one that is
// accepted is what the child sees: without AVX and without AVX2, which needs it, and with no way to enable
// their state.
//
// The answers in the tables are those of Xen 4.17.
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

#include <xen/hvm/save.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "control_ops";

namespace
{

constexpr domid_t kNobody = 0x7000;
constexpr u32 kNoSubleaf  = XEN_CPUID_NO_SUBLEAF;
constexpr u32 kMaxLeaves  = 120;

constinit domid_t child_id = 0;
constinit xen_cpuid_leaf_t leaves[kMaxLeaves + 1]{};
constinit u32 leaf_count = 0;

s64 run(u32 command, domid_t domain)
{
    xen_domctl op{};
    return domctl(op, command, domain);
}

template <class Fill>
s64 run(u32 command, domid_t domain, Fill fill)
{
    xen_domctl op{};
    fill(op.u);
    return domctl(op, command, domain);
}

// A domain like the child, but for what is changed; 0 is any free number.
template <class Change>
s64 create(domid_t domain, Change change)
{
    return run(XEN_DOMCTL_createdomain, domain, [&](auto& u) {
        u.createdomain = child_config();
        change(u.createdomain);
    });
}

s64 sysctl(xen_sysctl& op, u32 command)
{
    op.cmd               = command;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall(__HYPERVISOR_sysctl, gpa_of(&op));
}

template <class Fill>
s64 ask(u32 command, Fill fill)
{
    xen_sysctl op{};
    fill(op.u);
    return sysctl(op, command);
}

s64 of_another_version(u64 number)
{
    union {
        xen_domctl domain;
        xen_sysctl system;
        xen_platform_op platform;
    } op{};
    op.domain.interface_version = 1;
    return hypercall(number, gpa_of(&op));
}

struct Attempt {
    const char* name;
    s64 (*run)();
    s64 answer;
};

const Attempt kAttempts[] = {
    {"domctl of another version", [] { return of_another_version(__HYPERVISOR_domctl); }, -XEN_EACCES},
    {"sysctl of another version", [] { return of_another_version(__HYPERVISOR_sysctl); }, -XEN_EACCES},
    {"platform_op of another version", [] { return of_another_version(__HYPERVISOR_platform_op); },
     -XEN_EACCES},
    {"unknown domctl", [] { return run(9999, child_id); }, -XEN_ENOSYS},
    {"unknown domctl of nobody", [] { return run(9999, kNobody); }, -XEN_ESRCH},
    {"unknown sysctl", [] { return ask(9999, [](auto&) {}); }, -XEN_ENOSYS},
    {"pausedomain of itself", [] { return run(XEN_DOMCTL_pausedomain, 0); }, -XEN_EINVAL},
    {"pausedomain of DOMID_SELF", [] { return run(XEN_DOMCTL_pausedomain, DOMID_SELF); }, -XEN_ESRCH},
    {"resumedomain of itself", [] { return run(XEN_DOMCTL_resumedomain, 0); }, -XEN_EINVAL},
    {"destroydomain of itself", [] { return run(XEN_DOMCTL_destroydomain, 0); }, -XEN_EINVAL},
    {"max_vcpus of itself", [] { return run(XEN_DOMCTL_max_vcpus, 0); }, -XEN_EINVAL},
    {"max_vcpus that was not announced",
     [] { return run(XEN_DOMCTL_max_vcpus, child_id, [](auto& u) { u.max_vcpus.max = 2; }); }, -XEN_EINVAL},
    {"max_vcpus once more",
     [] { return run(XEN_DOMCTL_max_vcpus, child_id, [](auto& u) { u.max_vcpus.max = 1; }); }, 0},
    {"gethvmcontext of itself", [] { return run(XEN_DOMCTL_gethvmcontext, 0); }, -XEN_EINVAL},
    {"sethvmcontext of itself", [] { return run(XEN_DOMCTL_sethvmcontext, 0); }, -XEN_EINVAL},
    {"gethvmcontext_partial of itself", [] { return run(XEN_DOMCTL_gethvmcontext_partial, 0); }, -XEN_EINVAL},
    {"gethvmcontext_partial of no known type",
     [] {
         return run(XEN_DOMCTL_gethvmcontext_partial, child_id,
                    [](auto& u) { u.hvmcontext_partial.type = 999; });
     },
     -XEN_EINVAL},
    {"gethvmcontext_partial of a vCPU that is not there",
     [] {
         return run(XEN_DOMCTL_gethvmcontext_partial, child_id, [](auto& u) {
             u.hvmcontext_partial.type     = HVM_SAVE_CODE(CPU);
             u.hvmcontext_partial.instance = 7;
         });
     },
     -XEN_ENOENT},
    {"settscinfo of itself", [] { return run(XEN_DOMCTL_settscinfo, 0); }, -XEN_EINVAL},
    {"gettscinfo of itself", [] { return run(XEN_DOMCTL_gettscinfo, 0); }, -XEN_EINVAL},
    {"getdomaininfo behind the last", [] { return run(XEN_DOMCTL_getdomaininfo, kNobody); }, -XEN_ESRCH},
    {"getdomaininfo of DOMID_SELF", [] { return run(XEN_DOMCTL_getdomaininfo, DOMID_SELF); }, -XEN_EINVAL},
    {"getvcpuinfo beyond the last",
     [] { return run(XEN_DOMCTL_getvcpuinfo, child_id, [](auto& u) { u.getvcpuinfo.vcpu = 1; }); },
     -XEN_EINVAL},
    {"getvcpuaffinity without saying which",
     [] { return run(XEN_DOMCTL_getvcpuaffinity, child_id, [](auto& u) { u.vcpuaffinity.vcpu = 1; }); },
     -XEN_EINVAL},
    {"getvcpuaffinity beyond the last",
     [] {
         return run(XEN_DOMCTL_getvcpuaffinity, child_id, [](auto& u) {
             u.vcpuaffinity.vcpu  = 1;
             u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
         });
     },
     -XEN_EINVAL},
    {"sendtrigger beyond the last",
     [] { return run(XEN_DOMCTL_sendtrigger, child_id, [](auto& u) { u.sendtrigger.vcpu = 1; }); },
     -XEN_ESRCH},
    {"scheduler_op of another scheduler",
     [] {
         return run(XEN_DOMCTL_scheduler_op, child_id, [](auto& u) {
             u.scheduler_op.sched_id = XEN_SCHEDULER_ARINC653;
             u.scheduler_op.cmd      = XEN_DOMCTL_SCHEDOP_getinfo;
         });
     },
     -XEN_EINVAL},
    {"set_cpu_policy of itself", [] { return run(XEN_DOMCTL_set_cpu_policy, 0); }, -XEN_EINVAL},
    {"createdomain that exists", [] { return create(child_id, [](auto&) {}); }, -XEN_EEXIST},
    {"createdomain without vCPUs", [] { return create(0, [](auto& c) { c.max_vcpus = 0; }); }, -XEN_EINVAL},
    {"createdomain without grants", [] { return create(0, [](auto& c) { c.max_grant_frames = 0; }); },
     -XEN_EINVAL},
    {"createdomain with too many grants",
     [] { return create(0, [](auto& c) { c.max_grant_frames = 5000; }); }, -XEN_EINVAL},
    {"createdomain with too many mappings",
     [] { return create(0, [](auto& c) { c.max_maptrack_frames = 1'000'000; }); }, -XEN_EINVAL},
    {"createdomain with grants of a version there is not",
     [] { return create(0, [](auto& c) { c.grant_opts = XEN_DOMCTL_GRANT_version(3); }); }, -XEN_EINVAL},
    {"createdomain with an unknown option of grants",
     [] { return create(0, [](auto& c) { c.grant_opts |= 0x10; }); }, -XEN_EINVAL},
    {"scheduler_op of no pool",
     [] { return ask(XEN_SYSCTL_scheduler_op, [](auto& u) { u.scheduler_op.cpupool_id = 77; }); },
     -XEN_ESRCH},
    {"scheduler_op of another scheduler",
     [] {
         return ask(XEN_SYSCTL_scheduler_op, [](auto& u) { u.scheduler_op.sched_id = XEN_SCHEDULER_RTDS; });
     },
     -XEN_EINVAL},
    {"cpupool_op of no pool",
     [] {
         return ask(XEN_SYSCTL_cpupool_op, [](auto& u) {
             u.cpupool_op.op         = XEN_SYSCTL_CPUPOOL_OP_INFO;
             u.cpupool_op.cpupool_id = 77;
         });
     },
     -XEN_ENOENT},
    {"pcitopoinfo without lists", [] { return ask(XEN_SYSCTL_pcitopoinfo, [](auto&) {}); }, -XEN_EINVAL},
    {"a CPU policy of no kind",
     [] { return ask(XEN_SYSCTL_get_cpu_policy, [](auto& u) { u.cpu_policy.index = 6; }); }, -XEN_EINVAL},
    {"a CPU policy with a reserved field",
     [] { return ask(XEN_SYSCTL_get_cpu_policy, [](auto& u) { u.cpu_policy._rsvd = 1; }); }, -XEN_EINVAL},
    {"a featureset of no kind",
     [] {
         return ask(XEN_SYSCTL_get_cpu_featureset, [](auto& u) {
             static u32 word;
             u.cpu_featureset.index       = 6;
             u.cpu_featureset.nr_features = 1;
             set_xen_guest_handle(u.cpu_featureset.features, &word);
         });
     },
     -XEN_EINVAL},
    {"a featureset without room for all",
     [] {
         return ask(XEN_SYSCTL_get_cpu_featureset, [](auto& u) {
             static u32 word;
             u.cpu_featureset.index       = XEN_SYSCTL_cpu_featureset_hvm;
             u.cpu_featureset.nr_features = 1;
             set_xen_guest_handle(u.cpu_featureset.features, &word);
         });
     },
     -XEN_ENOBUFS},
    {"a CPU policy without room for all",
     [] {
         return run(XEN_DOMCTL_get_cpu_policy, child_id, [](auto& u) {
             u.cpu_policy.nr_leaves = 3;
             set_xen_guest_handle(u.cpu_policy.leaves, leaves);
         });
     },
     -XEN_ENOBUFS},
};

// Sends the first `count` of `leaves`; says where the fault is.
s64 set_policy(u32 count, u32& bad_leaf, u32& bad_subleaf)
{
    xen_domctl op{};
    op.u.cpu_policy.nr_leaves   = count;
    op.u.cpu_policy.err_leaf    = 0x5555;
    op.u.cpu_policy.err_subleaf = 0x5555;
    set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
    const s64 rc = domctl(op, XEN_DOMCTL_set_cpu_policy, child_id);
    bad_leaf     = op.u.cpu_policy.err_leaf;
    bad_subleaf  = op.u.cpu_policy.err_subleaf;
    return rc;
}

xen_cpuid_leaf_t& leaf(u32 number)
{
    for (u32 i = 0; i < leaf_count; ++i) {
        if (leaves[i].leaf == number)
            return leaves[i];
    }
    return leaves[kMaxLeaves];
}

void fetch_policy()
{
    xen_domctl op{};
    CHECK_EQUAL(domctl(op, XEN_DOMCTL_get_cpu_policy, child_id), 0);
    CHECK_EQUAL(op.u.cpu_policy.nr_leaves, kMaxLeaves);
    CHECK_EQUAL(op.u.cpu_policy.nr_msrs, 2);
    op                        = {};
    op.u.cpu_policy.nr_leaves = kMaxLeaves;
    set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
    CHECK_EQUAL(domctl(op, XEN_DOMCTL_get_cpu_policy, child_id), 0);
    leaf_count = op.u.cpu_policy.nr_leaves;
    CHECK(leaf_count > 20 && leaf_count <= kMaxLeaves);
    for (u32 i = 1; i < leaf_count; ++i)
        CHECK(leaves[i - 1].leaf < leaves[i].leaf ||
              (leaves[i - 1].leaf == leaves[i].leaf && leaves[i - 1].subleaf < leaves[i].subleaf));
}

void refused_policies()
{
    u32 where = 0, sub = 0;
    CHECK_EQUAL(set_policy(kMaxLeaves + 1, where, sub), -XEN_E2BIG);
    const xen_cpuid_leaf_t first = leaves[0];

    leaves[0] = {0x123456, 3, 0, 0, 0, 0};
    CHECK_EQUAL(set_policy(1, where, sub), -XEN_ERANGE);
    CHECK_EQUAL(where, 0x123456);
    CHECK_EQUAL(sub, 3);

    leaves[0]   = first;
    leaves[0].a = 0x7f;
    CHECK_EQUAL(set_policy(1, where, sub), -XEN_EINVAL);
    CHECK_EQUAL(where, 0);
    CHECK_EQUAL(sub, kNoSubleaf);
    leaves[0] = first;

    const xen_msr_entry_t unknown{0x1234, 0, 0};
    const s64 rc = run(XEN_DOMCTL_set_cpu_policy, child_id, [&](auto& u) {
        u.cpu_policy.nr_msrs = 1;
        u.cpu_policy.msrs.p  = const_cast<xen_msr_entry_t*>(&unknown);
    });
    CHECK_EQUAL(rc, -XEN_ERANGE);
}

constexpr u32 kAvx = 1u << 28, kOsxsave = 1u << 18, kAvx2 = 1u << 5;

void narrow_policy()
{
    u32 where = 0, sub = 0;
    CHECK(leaf(1).c & kAvx);
    leaf(1).c &= ~kAvx;
    CHECK_EQUAL(set_policy(leaf_count, where, sub), 0);
    fetch_policy();
    CHECK(!(leaf(1).c & kAvx));
    CHECK(!(leaf(7).b & kAvx2));
}

// Calls that answer with more than an error.
void check_answers()
{
    xen_domctl op{};
    op.u.hvmcontext_partial.type = HVM_SAVE_CODE(MTRR);
    CHECK_EQUAL(domctl(op, XEN_DOMCTL_gethvmcontext_partial, child_id), 0);
    CHECK_EQUAL(op.u.hvmcontext_partial.bufsz, sizeof(hvm_hw_mtrr));
    static hvm_hw_mtrr mtrr;
    op.u.hvmcontext_partial.buffer.p = reinterpret_cast<unsigned char*>(&mtrr);
    CHECK_EQUAL(domctl(op, XEN_DOMCTL_gethvmcontext_partial, child_id), 0);
    CHECK_EQUAL(mtrr.msr_mtrr_cap & 0xff, MTRR_VCNT);
    CHECK_EQUAL(mtrr.msr_pat_cr, 0x0007'0406'0007'0406);
    op.u.hvmcontext_partial.bufsz = sizeof mtrr - 1;
    CHECK(domctl(op, XEN_DOMCTL_gethvmcontext_partial, child_id) < 0);

    op = {};
    CHECK_EQUAL(domctl(op, XEN_DOMCTL_gettscinfo, child_id), 0);
    CHECK(op.u.tsc_info.gtsc_khz > 10'000);

    xen_sysctl about{};
    CHECK_EQUAL(sysctl(about, XEN_SYSCTL_get_cpu_featureset), 0);
    CHECK_EQUAL(about.u.cpu_featureset.nr_features, 19);
    static u32 words[19];
    about.u.cpu_featureset.index = XEN_SYSCTL_cpu_featureset_hvm;
    set_xen_guest_handle(about.u.cpu_featureset.features, words);
    CHECK_EQUAL(sysctl(about, XEN_SYSCTL_get_cpu_featureset), 0);
    CHECK_EQUAL(words[1] >> 31, 1); // whoever gets this runs under a hypervisor
    CHECK_EQUAL(words[3] & 4, 0);   // and has none below it: no SVM
    about = {};
    CHECK_EQUAL(sysctl(about, XEN_SYSCTL_get_cpu_levelling_caps), 0);

    static physdev_pci_device bridge{.seg = 0, .bus = 0, .devfn = 0}, nothing{.seg = 7, .bus = 7, .devfn = 7};
    static physdev_pci_device devices[] = {bridge, nothing};
    static u32 nodes[2];
    about                        = {};
    about.u.pcitopoinfo.num_devs = 2;
    set_xen_guest_handle(about.u.pcitopoinfo.devs, devices);
    set_xen_guest_handle(about.u.pcitopoinfo.nodes, nodes);
    CHECK_EQUAL(sysctl(about, XEN_SYSCTL_pcitopoinfo), 0);
    CHECK_EQUAL(about.u.pcitopoinfo.num_devs, 2);
    CHECK(nodes[0] != XEN_INVALID_DEV);
    CHECK_EQUAL(nodes[1], XEN_INVALID_DEV);

    about                                             = {};
    about.u.scheduler_op.sched_id                     = XEN_SCHEDULER_CREDIT2;
    about.u.scheduler_op.cmd                          = XEN_SYSCTL_SCHEDOP_getinfo;
    about.u.scheduler_op.u.sched_credit2.ratelimit_us = ~0u;
    CHECK_EQUAL(sysctl(about, XEN_SYSCTL_scheduler_op), 0);
    CHECK(about.u.scheduler_op.u.sched_credit2.ratelimit_us < 1'000'000);
}

// The first domain at or behind an id.
domid_t found_from(domid_t id)
{
    xen_domctl op{};
    return domctl(op, XEN_DOMCTL_getdomaininfo, id) == 0 ? op.domain : 0xffff;
}

} // namespace

void child_main()
{
    Mailbox& mail  = my_mailbox();
    mail.values[0] = cpuid(1).ecx & kAvx;
    mail.values[1] = cpuid(7).ebx & kAvx2;
    write_cr4(read_cr4() | kOsxsave);
    mail.values[2] = cpuid(0xd).eax;
    mail.values[3] = cpuid(0xd).ecx;
    mail.stage     = 1;
    for (;;)
        sched_op(SCHEDOP_yield, nullptr);
}

void test_main()
{
    NEED(map_shared_info() == 0);
    Child child;
    NEED(child.build());
    child_id = child.id();
    for (const Attempt& attempt : kAttempts) {
        if (const s64 answer = attempt.run(); answer != attempt.answer)
            NOTE(failure, attempt.name, " answers ", answer, ", not ", attempt.answer);
    }
    check_answers();
    CHECK_EQUAL(found_from(1), child_id);
    CHECK_EQUAL(found_from(0), 0);
    fetch_policy();
    refused_policies();
    if (!(leaf(1).c & kAvx))
        SKIP("no AVX on this machine to take away");
    narrow_policy();
    NEED(child.unpause() == 0);
    NEED(child.wait_for_stage(1));
    CHECK_EQUAL(child.mailbox().values[0], 0);
    CHECK_EQUAL(child.mailbox().values[1], 0);
    CHECK_EQUAL(child.mailbox().values[2], 3);
    CHECK_EQUAL(child.mailbox().values[3], 512 + 64);
    u32 where = 0, sub = 0;
    CHECK_EQUAL(set_policy(leaf_count, where, sub), -XEN_EEXIST);
    child.destroy();
}

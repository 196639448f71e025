// SPDX-License-Identifier: Apache-2.0
//
// The EVTCHNOP edge: arguments in and out, errno values, bad pointers.
#include "world.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr u64 kArg  = 0x3000;
constexpr u64 kHole = 0x7000'0000;

// RAX as the guest would see it.
s64 call(Domain& d, u64 cmd, u64 arg = kArg)
{
    Hypercall_args args{{cmd, arg, 0, 0, 0}};
    const Hypercall_result result = do_event_channel_op(*d.vcpu(0), args);
    return result ? static_cast<s64>(*result) : -static_cast<s64>(result.error());
}

template <class T>
T& arg(Domain& d)
{
    return *guest<T>(d, kArg);
}

} // namespace

TEST_CASE("every operation answers -EFAULT to a bad pointer and unknown ones -ENOSYS")
{
    World world;
    Domain& d = world.make(1);
    for (u64 cmd = EVTCHNOP_bind_interdomain; cmd <= EVTCHNOP_set_priority; ++cmd)
        CHECK(call(d, cmd, kHole) == -XEN_EFAULT);
    CHECK(call(d, 14) == -XEN_ENOSYS);
    CHECK(call(d, ~0u) == -XEN_ENOSYS);
}

TEST_CASE("a channel between two domains through the hypercalls")
{
    World world;
    Domain& a                    = world.make(1);
    Domain& b                    = world.make(2);
    arg<evtchn_alloc_unbound>(a) = {DOMID_SELF, 2, 0};
    REQUIRE(call(a, EVTCHNOP_alloc_unbound) == 0);
    const evtchn_port_t at_a        = arg<evtchn_alloc_unbound>(a).port;
    arg<evtchn_bind_interdomain>(b) = {1, at_a, 0};
    REQUIRE(call(b, EVTCHNOP_bind_interdomain) == 0);
    const evtchn_port_t at_b = arg<evtchn_bind_interdomain>(b).local_port;

    arg<evtchn_status>(b)      = {};
    arg<evtchn_status>(b).dom  = DOMID_SELF;
    arg<evtchn_status>(b).port = at_b;
    REQUIRE(call(b, EVTCHNOP_status) == 0);
    CHECK(arg<evtchn_status>(b).status == EVTCHNSTAT_interdomain);
    CHECK(arg<evtchn_status>(b).dom == DOMID_SELF);
    CHECK(arg<evtchn_status>(b).u.interdomain.dom == 1);
    CHECK(arg<evtchn_status>(b).u.interdomain.port == at_a);

    kicks(*b.vcpu(0));
    b.vcpu(0)->info()->evtchn_upcall_pending = 0;
    b.vcpu(0)->info()->evtchn_pending_sel    = 0;
    b.shared()->evtchn_pending[0]            = 0;
    arg<evtchn_send>(a).port                 = at_a;
    REQUIRE(call(a, EVTCHNOP_send) == 0);
    CHECK(kicks(*b.vcpu(0)) == 1);
    arg<evtchn_close>(a).port = at_a;
    REQUIRE(call(a, EVTCHNOP_close) == 0);
    CHECK(call(a, EVTCHNOP_close) == -XEN_EINVAL);
}

TEST_CASE("domains that are not there, or not the caller's to command")
{
    World world;
    Domain& control = world.make(0, true);
    Domain& a       = world.make(1);
    world.make(2);
    arg<evtchn_alloc_unbound>(a) = {77, 2, 0};
    CHECK(call(a, EVTCHNOP_alloc_unbound) == -XEN_ESRCH);
    arg<evtchn_alloc_unbound>(a) = {2, 1, 0};
    CHECK(call(a, EVTCHNOP_alloc_unbound) == -XEN_EPERM);
    arg<evtchn_bind_interdomain>(a) = {77, 1, 0};
    CHECK(call(a, EVTCHNOP_bind_interdomain) == -XEN_ESRCH);
    arg<evtchn_reset>(a).dom = 2;
    CHECK(call(a, EVTCHNOP_reset) == -XEN_EPERM);
    arg<evtchn_reset>(control).dom = 1;
    CHECK(call(control, EVTCHNOP_reset) == -XEN_EINVAL); // it is running
    REQUIRE(a.pause_by_control());
    CHECK(call(control, EVTCHNOP_reset) == 0);
    arg<evtchn_bind_pirq>(a) = {1, 0, 0};
    CHECK(call(a, EVTCHNOP_bind_pirq) == -XEN_EINVAL);
}

TEST_CASE("virtual interrupts, masks and the FIFO form through the hypercalls")
{
    World world;
    Domain& d                = world.make(1);
    arg<evtchn_bind_virq>(d) = {VIRQ_TIMER, 1, 0};
    REQUIRE(call(d, EVTCHNOP_bind_virq) == 0);
    CHECK(arg<evtchn_bind_virq>(d).port == 1);
    arg<evtchn_bind_ipi>(d) = {0, 0};
    REQUIRE(call(d, EVTCHNOP_bind_ipi) == 0);
    CHECK(arg<evtchn_bind_ipi>(d).port == 2);
    arg<evtchn_bind_vcpu>(d) = {2, 1};
    CHECK(call(d, EVTCHNOP_bind_vcpu) == -XEN_EINVAL);
    arg<evtchn_unmask>(d).port = 2;
    CHECK(call(d, EVTCHNOP_unmask) == 0);
    arg<evtchn_set_priority>(d) = {2, 1};
    CHECK(call(d, EVTCHNOP_set_priority) == -XEN_ENOSYS);
    arg<evtchn_expand_array>(d).array_gfn = 21;
    CHECK(call(d, EVTCHNOP_expand_array) == -XEN_EOPNOTSUPP);
    arg<evtchn_init_control>(d) = {20, 0, 0, 0, {}};
    REQUIRE(call(d, EVTCHNOP_init_control) == 0);
    CHECK(arg<evtchn_init_control>(d).link_bits == EVTCHN_FIFO_LINK_BITS);
    arg<evtchn_expand_array>(d).array_gfn = 21;
    REQUIRE(call(d, EVTCHNOP_expand_array) == 0);
    arg<evtchn_set_priority>(d) = {2, 1};
    CHECK(call(d, EVTCHNOP_set_priority) == 0);
}

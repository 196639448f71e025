// SPDX-License-Identifier: Apache-2.0
//
// A list of hypercalls in one. A call in it that wants to be continued is written back with the arguments
// it got to, and the list goes on from there. [xen/include/public/xen.h, multicall_entry]
#include "arch/x86/cpu/execution.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"
#include "hypercall/dispatch.hpp"
#include "sched/scheduler.hpp"

#include <xen/xen.h>

namespace vmm
{
namespace
{

constexpr u64 kMulticall = 13;
constexpr u64 kTurn      = 64; // calls before others get a chance
constexpr u64 kPerMs     = 10; // turns, where calls take long: each has its own limit, not the list

} // namespace

Hypercall_result do_multicall(Vcpu& vcpu, Hypercall_args& args)
{
    u64& list       = args.a[0];
    u64& count      = args.a[1];
    const u64 begun = read_tsc(), most = tsc_info().khz / kPerMs;
    for (u64 done = 0; count > 0; ++done) {
        if (done == kTurn || scheduler::must_reschedule() || (done != 0 && read_tsc() - begun > most))
            return fail(Errc::erestart);
        auto entry = TRY(read_guest<multicall_entry>(vcpu, Gva(list)));
        Hypercall_args inner{};
        for (unsigned i = 0; i < inner.a.size(); ++i)
            inner.a[i] = entry.args[i];
        const auto result =
            entry.op == kMulticall ? Hypercall_result(fail(Errc::einval)) : call(vcpu, entry.op, inner);
        const bool again = !result && result.error() == Errc::erestart;
        if (again) {
            for (unsigned i = 0; i < inner.a.size(); ++i)
                entry.args[i] = inner.a[i];
        } else {
            entry.result = result ? *result : static_cast<u64>(-static_cast<s64>(result.error()));
        }
        TRY(write_guest(vcpu, Gva(list), entry));
        if (again)
            return fail(Errc::erestart);
        list += sizeof entry;
        --count;
    }
    return 0;
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
//
// What goes on with another domain of this kind: each grants the other a page, the contract, and has it
// mapped all the time. It names the ports on which its owner hears, counts what was sent and heard, and hands
// pages to and fro: the owner grants a page full of a pattern, the visitor maps it or copies, checks, writes
// a pattern of its own and hands it back, and the owner takes its grant back, which must then be unused.
//
// A mortal peer may end at any moment; then the link stays as it is until dom0 names another one.
#pragma once

#include "domu_stress/worker.hpp"

#include <xen/xen.h>

namespace vmm::stress::peer
{

// Links to that domain: waits, as long as `go_on` says so, until the other side does the same. By the first
// vCPU, with interrupts on.
bool link(domid_t to, bool mortal, bool (*go_on)());
// The opposite: nothing that belongs to the peer stays in use. What is granted to it must be let go in time.
void unlink();
[[nodiscard]] bool linked();

// Something with the peer, by any vCPU. `starting`: not only what answers it.
void work(Worker& worker, bool starting);
// This vCPU has nothing on its way to the peer any more.
bool quiet(Worker& worker);
// Says that nothing more will be sent; the peer says so too.
void say_settled();
[[nodiscard]] bool peer_settled();
// Both have settled: the counts agree.
void compare();

} // namespace vmm::stress::peer

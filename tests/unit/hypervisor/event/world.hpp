// SPDX-License-Identifier: Apache-2.0
//
// Domains for tests of the event and grant rooms: real p2m, frames, event and grant tables under a domain
// and vCPUs that do nothing but count kicks. A domain made here has `pages` of memory from guest frame 0 on,
// and hypercall arguments are found at guest-physical addresses, as if paging were off.
#pragma once

#include "domain/domain_table.hpp"
#include "domain/vcpu.hpp"
#include "event/event_table.hpp"
#include "fakes/memory.hpp"
#include "grant/grant_table.hpp"
#include "hypercall/hypercall.hpp"

#include <vector>

namespace vmm::test
{

struct Limits {
    u32 event_ports     = 4096 * 4;
    u32 grant_frames    = 4;
    u32 maptrack_frames = 4;
    u32 vcpus           = 2;
    u64 pages           = 64;
};

class World
{
  public:
    explicit World(u64 frame_count = 4096) : memory(frame_count) {}
    ~World();

    Domain& make(u16 id, bool control = false, const Limits& limits = {});
    // The domain dies as Domain::kill() does it, and the last hold goes.
    void destroy(Domain& domain);

    fakes::Memory memory;

  private:
    std::vector<Ref<Domain>> domains_;
};

// How often the vCPU was kicked since the last question.
unsigned kicks(Vcpu& vcpu);

// A guest's view of its memory; what it is to write must be its own (P2m::make_own).
template <class T>
T* guest(Domain& domain, u64 gpa)
{
    const P2m_entry entry = domain.p2m().lookup(to_gfn(Gpa(gpa)));
    return entry.present() ? reinterpret_cast<T*>(to_virtual<u8>(entry.mfn) + (gpa & kPageMask)) : nullptr;
}

} // namespace vmm::test

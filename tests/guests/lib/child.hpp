// SPDX-License-Identifier: Apache-2.0
//
// A second domain made of the running image: the controlling micro-guest copies its own text and its data
// as it was loaded, so one ELF file holds both sides of a test and nothing has to be parsed. The child has
// its image and a few pages more, which both sides see (the mailbox), and runs child_main(). Control calls
// are those a toolstack makes. [xen/include/public/domctl.h]
#pragma once

#include "guest/types.hpp"

#include <xen/domctl.h>
#include <xen/xen.h>

namespace vmm::guest_test
{

using guest::s64;
using guest::u32;
using guest::u64;

inline constexpr u32 kMailboxPages = 8;
inline constexpr u64 kMaxKib       = 64 << 10; // of memory, if nothing else is said
inline constexpr u32 kNoEnd        = ~0u;

// What both sides read and write, in the first page of the mailbox. The rest belongs to the test.
struct Mailbox {
    volatile u32 stage; // the child counts up as it goes
    volatile u32 order; // the parent tells it to go on
    volatile s64 values[32];
    domid_t child;
    u32 port_of_child; // unbound for dom0, allocated by dom0 on the child's behalf
};

class Child
{
  public:
    // A domain that is built and still paused. False, with the reason printed, when a step failed.
    bool build();
    // The same, as a fork of another one, which is paused: with its memory and its processor.
    bool fork(const Child& parent, u64 max_kib = kMaxKib);
    s64 unpause();
    // Domctl commands without arguments: pausedomain, unpausedomain, destroydomain.
    s64 control(u32 command);
    s64 info(xen_domctl_getdomaininfo& info);
    // Lets go of every page of it first, so that nothing of it stays.
    void destroy();

    [[nodiscard]] domid_t id() const { return id_; }
    [[nodiscard]] Mailbox& mailbox() const { return *mailbox_; }
    // A page of the mailbox as the parent sees it, and as the child does.
    [[nodiscard]] guest::Page& shared_page(u32 index) const;
    [[nodiscard]] u64 child_gfn(u32 index) const;
    // Runs the child until it is at `stage`, at most that long.
    bool wait_for_stage(u32 stage, u64 ns = 2'000'000'000);
    // The reason for which it shut down, SHUTDOWN_*; kNoEnd if it has not in that time.
    u32 wait_for_end(u64 ns = 2'000'000'000);

  private:
    bool create(u64 max_kib = kMaxKib);
    bool map_mailbox();
    bool give_memory();
    bool load_image();
    bool set_start_state();

    domid_t id_       = 0;
    u64 image_window_ = 0;
    Mailbox* mailbox_ = nullptr;
};

s64 domctl(xen_domctl& op, u32 command, domid_t domain);

// What createdomain is told of a child, and of whatever is to differ from one in a single thing.
xen_domctl_createdomain child_config();

// A stretch of guest-physical addresses where this guest has no memory, for mappings.
u64 window(u64 pages);
// Maps frames of another domain there; negative errno.
s64 map_foreign(domid_t domain, u64 first_gfn, u64 pages, u64 gpa);

// The child's own view.
Mailbox& my_mailbox();
guest::Page& my_shared_page(u32 index);

} // namespace vmm::guest_test

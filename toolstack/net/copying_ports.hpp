// SPDX-License-Identifier: Apache-2.0
#pragma once
// Keeps the pages of domains away from network cards. What a domain sends comes out of xen-netback as packets
// that partly still lie in the domain's own pages; a bridge passes them on as they are, and without an IOMMU
// a card's DMA would fetch something else from where dom0 sees them [Linux drivers/net/xen-netback/netback.c,
// net/bridge/br_forward.c]. A device without scatter-gather is only ever given packets that the kernel has
// copied into one piece, so that is turned off for every other port of a bridge that domains are on, also for
// ports that join later, and on again when the last domain has left. Packets that dom0 routes are copied by
// the kernel anyway.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/net/links.hpp"

#include <functional>
#include <optional>
#include <set>
#include <string>

struct nl_sock;

namespace vmm::net
{

class Copying_ports
{
  public:
    // `own` tells whether a device is a domain's interface, which takes packets in any form.
    Copying_ports(Event_loop& loop, Links& links, std::function<bool(const std::string& device)> own);
    Copying_ports(const Copying_ports&)            = delete;
    Copying_ports& operator=(const Copying_ports&) = delete;
    ~Copying_ports();

    // The bridges that domains are on, all of them. An error names a port that cannot be made to copy.
    [[nodiscard]] Result<void> watch(std::set<std::string> bridges);

  private:
    Result<void> listen();
    Result<void> check();
    void check_soon();

    Event_loop& loop_;
    Links& links_;
    std::function<bool(const std::string&)> own_;
    std::set<std::string> bridges_;
    std::set<std::string> copying_; // ports that were changed here
    nl_sock* events_ = nullptr;
    std::optional<Event_loop::Timer_id> due_;
};

} // namespace vmm::net

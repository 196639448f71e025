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
#include "toolstack/net/links.hpp"

#include <functional>
#include <set>
#include <string>
#include <utility>

namespace vmm::net
{

class Copying_ports
{
  public:
    // `own` tells whether a device is a domain's interface, which takes packets in any form.
    Copying_ports(Links& links, std::function<bool(const std::string& device)> own)
        : links_(links), own_(std::move(own))
    {
    }

    // The bridges that domains are on, all of them: to be called when these change, and when any device does.
    // An error names a port that cannot be made to copy.
    [[nodiscard]] Result<void> guard(const std::set<std::string>& bridges);

  private:
    Links& links_;
    std::function<bool(const std::string&)> own_;
    std::set<std::string> copying_; // ports that were changed here
};

} // namespace vmm::net

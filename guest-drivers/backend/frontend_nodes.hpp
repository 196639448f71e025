// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a block frontend tells through the store about its rings: read once when it connects, and typed and
// bounded from there on. A guest can write anything there; the error says which node is wrong and how.
// [xen/include/public/io/blkif.h, "Frontend XenBus Nodes"]

#include "guest-drivers/backend/store_link.hpp"
#include "guest-drivers/protocol/block.hpp"
#include "toolstack/xen/types.hpp"

#include <string>
#include <vector>

namespace vmm::block
{

// What the backend offers.
struct Offer {
    unsigned queues          = 4;
    unsigned ring_page_order = 4;
};

struct Frontend_nodes {
    struct Ring {
        std::vector<std::uint32_t> pages; // grant references
        Evtchn_port port{};
    };
    protocol::Block_abi abi = protocol::Block_abi::x86_64;
    bool keeps_grants       = false;
    std::vector<Ring> rings;
};

// Errc::protocol: the frontend's fault.
[[nodiscard]] Result<Frontend_nodes> read_frontend(Store_link& store, const std::string& frontend_path,
                                                   const Offer& offer);

} // namespace vmm::block

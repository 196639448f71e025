// SPDX-License-Identifier: Apache-2.0
#pragma once
// The limits of one unprivileged domain, so that no guest can exhaust the daemon. Defaults are those of Xen's
// xenstored. Dom0 and clients of the socket are bound by none of them; the path length and the size of a
// message bind everyone.

#include <cstddef>

namespace vmm::store
{

struct Quotas {
    std::size_t nodes             = 1000;       // nodes owned
    std::size_t watches           = 128;        // watches registered
    std::size_t transactions      = 10;         // transactions open at once
    std::size_t transaction_nodes = 1024;       // nodes read or changed in one transaction
    std::size_t transaction_bytes = 256 * 1024; // memory one transaction makes the daemon keep
    std::size_t snapshot_bytes =
        16 * 1024 * 1024;                // of replaced nodes old transactions of guests keep alive, in all
    std::size_t node_bytes       = 2048; // value, child names and permissions of one node
    std::size_t permissions      = 5;    // permission entries of one node
    std::size_t pending_requests = 20;   // replies not yet taken by the client, before its requests wait
    std::size_t pending_event_bytes =
        64 * 1024; // watch events not yet taken, before events of one watch are merged
};

} // namespace vmm::store

// SPDX-License-Identifier: Apache-2.0
//
// What a frontend stands on, made up: a store that is a map, a grant table that is a set, event channels that
// only count. A test plays the backend: it writes the backend's nodes, uses the ring pages and holds grants.
#pragma once

#include "guest/types.hpp"

#include <map>
#include <set>
#include <string>

namespace vmm::guest::fake
{

struct World {
    std::map<std::string, std::string, std::less<>> nodes;
    std::map<u32, const void*> granted; // by reference
    std::set<u32> in_use;               // references the backend would not let go
    std::set<u32> ports;
    u64 events_sent = 0;
    u64 changes     = 0; // of nodes, counted by tests
    u32 grants_left = ~0u;
};

World& world();
// An empty world again.
void reset();

} // namespace vmm::guest::fake

// SPDX-License-Identifier: Apache-2.0
#pragma once
// Turns one change of the tree into events for those who watch it and may read it. Queues events through
// Watcher and changes nothing else. Which watch hears of which change: docs/misc/xenstore.txt, "Watches".

#include "toolstack/store/tree.hpp"
#include "toolstack/store/watch.hpp"

#include <optional>

namespace vmm::store
{

struct Changed {
    Path path;
    std::optional<Permissions>
        before{};           // those of the node that was there: who loses access still hears of it
    Node_pointer removed{}; // the node that was there, with all below, when it was removed
};

// `tree` is the tree after the change.
void announce(const Changed& change, const Tree& tree, const Watch_index& watches);

} // namespace vmm::store

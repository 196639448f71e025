// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/announce.hpp"

namespace vmm::store
{
namespace
{

bool may_read(const Watch& watch, const Permissions* permissions)
{
    return permissions != nullptr && may(watch.watcher->caller(), *permissions, Access::read);
}

const Permissions* permissions_of(const Node* node) { return node == nullptr ? nullptr : &node->permissions; }

// Each watch below a removed node hears, under its own path, that the node it names is gone, if there was
// one.
void announce_removal_below(const Changed& change, const Watch_index& watches)
{
    const std::size_t above = change.path.parts().size();
    for (Watch* watch : watches.below(change.path.text())) {
        const Path path    = *Path::parse(watch->path, "/");
        const auto parts   = path.parts();
        const Node* parent = nullptr;
        const Node* node   = change.removed.get();
        for (std::size_t i = above; i < parts.size() && node != nullptr; ++i) {
            const auto child = node->children.find(parts[i]);
            parent           = node;
            node             = child == node->children.end() ? nullptr : child->second.get();
        }
        if (node != nullptr &&
            (may_read(*watch, &node->permissions) || may_read(*watch, permissions_of(parent)))) {
            watch->watcher->deliver(*watch, watch->path);
        }
    }
}

} // namespace

void announce(const Changed& change, const Tree& tree, const Watch_index& watches)
{
    const Permissions* before = change.before ? &*change.before : nullptr;
    const Permissions* now    = permissions_of(tree.find(change.path));
    const Permissions* parent = permissions_of(tree.find(change.path.parent()));
    for (Watch* watch : watches.covering(change.path.text())) {
        if (may_read(*watch, before) || may_read(*watch, now) || may_read(*watch, parent)) {
            watch->watcher->deliver(*watch, change.path.text());
        }
    }
    if (change.removed) {
        announce_removal_below(change, watches);
    }
}

} // namespace vmm::store

// SPDX-License-Identifier: Apache-2.0
// What the database knows of domains as such: the special watches, and forgetting one that is gone.
#include "toolstack/store/store.hpp"

#include <algorithm>
#include <vector>

namespace vmm::store
{
namespace
{

bool is_granted(const Permissions& permissions, Domid domid)
{
    return std::any_of(permissions.begin() + 1, permissions.end(),
                       [=](const Permission& p) { return p.domid == domid; });
}

Permissions without(const Permissions& permissions, Domid domid)
{
    Permissions kept = permissions;
    if (kept.front().domid == domid) {
        kept.front().domid = kDom0;
    }
    kept.erase(
        std::remove_if(kept.begin() + 1, kept.end(), [=](const Permission& p) { return p.domid == domid; }),
        kept.end());
    return kept;
}

struct Traces {
    std::vector<Path> owned; // the topmost ones; what is below goes with them
    std::vector<Path> granted;
};

void collect(const Path& path, const Node& node, Domid domid, Traces& traces)
{
    const bool owned = node.permissions.front().domid == domid;
    if (owned && !path.is_root()) {
        traces.owned.push_back(path);
        return;
    }
    if (owned || is_granted(node.permissions, domid)) {
        traces.granted.push_back(path);
    }
    for (const auto& [name, child] : node.children) {
        collect(path.child(name), *child, domid, traces);
    }
}

} // namespace

void Store::forget_domain(Domid domid)
{
    if (domid == kDom0) {
        return;
    }
    Traces traces;
    collect(Path::root(), live_.root(), domid, traces);
    for (const Path& path : traces.granted) {
        const Node& node       = *live_.find(path);
        const Permissions kept = without(node.permissions, domid);
        account(nullptr, node.permissions.front().domid, -1);
        account(nullptr, kept.front().domid, 1);
        live_.assign(path, kept, node.value, ++generation_);
        note_node(path);
    }
    for (const Path& path : traces.owned) {
        remove_and_announce(path);
    }
    for (auto& [name, permissions] : special_permissions_) {
        Permissions kept = without(permissions, domid);
        if (record_ != nullptr && kept != permissions) {
            record_->special_permissions(name, kept);
        }
        permissions = std::move(kept);
    }
    drop_old_snapshots();
}

Result<Permissions> Store::special_permissions(const Caller& caller, std::string_view name) const
{
    const auto found = special_permissions_.find(name);
    if (found == special_permissions_.end()) {
        return fail(Errc::invalid, "no special node " + std::string(name.substr(0, 40)));
    }
    if (!may(caller, found->second, Access::read)) {
        return fail(Errc::access_denied, "no access to " + found->first);
    }
    return found->second;
}

Result<void> Store::set_special_permissions(const Caller& caller, std::string_view name,
                                            Permissions permissions)
{
    const auto found = special_permissions_.find(name);
    if (found == special_permissions_.end()) {
        return fail(Errc::invalid, "no special node " + std::string(name.substr(0, 40)));
    }
    if (!is_owner(caller, found->second)) {
        return fail(Errc::access_denied, "only the owner may change the permissions of " + found->first);
    }
    found->second = std::move(permissions);
    if (record_ != nullptr) {
        record_->special_permissions(found->first, found->second);
    }
    return {};
}

void Store::announce_special(std::string_view name, Domid domid)
{
    const Permissions& permissions = special_permissions_.find(name)->second;
    const std::string of_domain    = std::string(name) + '/' + vmm::to_string(domid);
    const auto tell                = [&](std::string_view watched) {
        for (Watch* watch : watches_.at(watched)) {
            if (may(watch->watcher->caller(), permissions, Access::read)) {
                watch->watcher->deliver(*watch, watch->depth ? std::string_view(of_domain) : watched);
            }
        }
    };
    tell(name);
    tell(of_domain);
}

} // namespace vmm::store

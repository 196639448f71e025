// SPDX-License-Identifier: Apache-2.0
// The daemon's own watches, and what it asks about those of domains.
#include "toolstack/store/store_server_impl.hpp"

#include <algorithm>

namespace vmm
{

void Store_server::Impl::Local_watch::deliver(store::Watch&, std::string_view path)
{
    if (std::ranges::find(waiting, path) == waiting.end()) {
        waiting.emplace_back(path);
        server.schedule();
    }
}

Result<Store_server::Watch_handle> Store_server::Impl::watch(std::string path, Watch_callback callback,
                                                             std::optional<unsigned> depth)
{
    const Watch_handle handle{next_watch_++};
    auto local      = std::make_shared<Local_watch>(*this);
    local->callback = std::move(callback);
    local->watch    = store::Watch{local.get(), std::move(path), {}, 0, depth};
    store_.watches().add(local->watch);
    local->deliver(local->watch, local->watch.path);
    local_watches_.emplace(handle, std::move(local));
    return handle;
}

void Store_server::Impl::unwatch(Watch_handle handle)
{
    const auto found = local_watches_.find(handle);
    if (found != local_watches_.end()) {
        store_.watches().remove(found->second->watch);
        local_watches_.erase(found);
    }
}

// A callback may set and drop watches, so the handles are taken first and each looked up when its turn comes.
void Store_server::Impl::call_local_watches()
{
    std::vector<Watch_handle> handles;
    for (const auto& entry : local_watches_) {
        if (!entry.second->waiting.empty()) {
            handles.push_back(entry.first);
        }
    }
    for (const Watch_handle handle : handles) {
        const auto found = local_watches_.find(handle);
        if (found == local_watches_.end()) {
            continue;
        }
        const std::shared_ptr<Local_watch> local = found->second;
        for (const std::string& path : std::exchange(local->waiting, {})) {
            if (local_watches_.contains(handle)) {
                local->callback(path);
            }
        }
    }
}

bool Store_server::Impl::is_watched(std::string_view path, Domid by) const
{
    const auto is_theirs = [by](const store::Watch* watch) { return watch->watcher->caller().domid == by; };
    return std::ranges::any_of(store_.watches().at(path), is_theirs) ||
           std::ranges::any_of(store_.watches().below(path), is_theirs);
}

void Store_server::Impl::when_unwatched(std::string path, Domid by, std::function<void()> call)
{
    until_unwatched_.push_back({std::move(path), by, std::move(call)});
    schedule();
}

void Store_server::Impl::call_unwatched()
{
    const auto over = std::ranges::stable_partition(
        until_unwatched_, [this](const Until_unwatched& one) { return is_watched(one.path, one.by); });
    const std::vector<Until_unwatched> calls(std::move_iterator(over.begin()),
                                             std::move_iterator(over.end()));
    until_unwatched_.erase(over.begin(), over.end());
    for (const Until_unwatched& one : calls) {
        one.call();
    }
}

} // namespace vmm

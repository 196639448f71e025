// SPDX-License-Identifier: Apache-2.0
// The daemon's own watches.
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

} // namespace vmm

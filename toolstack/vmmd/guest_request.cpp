// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/guest_request.hpp"

#include <memory>
#include <utility>

namespace vmm
{

namespace
{

// Lives in the callbacks of the watch and the timer until one of them ends it.
struct Pending {
    Event_loop& loop;
    Store_server& store;
    std::string node;
    std::string value;
    Request_done done;
    Store_server::Watch_handle watch{};
    Event_loop::Timer_id timer{};

    // Whoever calls this holds a reference: the watch's one goes here.
    void finish(Result<void> outcome)
    {
        const Request_done call = std::exchange(done, nullptr);
        store.unwatch(watch);
        call(std::move(outcome));
    }
};

} // namespace

Result<void> ask_guest(Event_loop& loop, Store_server& store, const std::string& node,
                       const std::string& value, Event_loop::Duration patience, Request_done done)
{
    TRY(store.write(node, value));
    auto pending   = std::make_shared<Pending>(Pending{loop, store, node, value, std::move(done), {}, {}});
    pending->watch = TRY(store.watch(node, [pending](const std::string&) {
        const std::shared_ptr<Pending> keep = pending;
        const auto now                      = keep->store.read(keep->node);
        if (keep->done && (!now || *now != keep->value)) {
            keep->loop.cancel(keep->timer);
            keep->finish({});
        }
    }));
    pending->timer = loop.after(patience, [pending] {
        const std::shared_ptr<Pending> keep = pending;
        keep->finish(fail(Errc::timed_out, {}));
    });
    return {};
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/guest_request.hpp"

#include <memory>
#include <utility>

namespace vmm
{

namespace
{

// Lives in the callbacks of the watch and the timer until one of them ends it.
struct Pending : std::enable_shared_from_this<Pending> {
    Event_loop& loop;
    Store_server& store;
    std::string node;
    std::string value;
    Request_done done;
    Store_server::Watch_handle watch{};
    Event_loop::Timer_id timer{};

    Pending(Event_loop& in, Store_server& of, std::string at, std::string asked, Request_done then)
        : loop(in), store(of), node(std::move(at)), value(std::move(asked)), done(std::move(then))
    {
    }

    // The references of the watch and of the timer, of which one calls this, go meanwhile.
    void finish(Result<void> outcome)
    {
        const auto keep         = shared_from_this();
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
    auto pending   = std::make_shared<Pending>(loop, store, node, value, std::move(done));
    pending->watch = TRY(store.watch(node, [pending](const std::string&) {
        const auto now = pending->store.read(pending->node);
        if (pending->done && (!now || *now != pending->value)) {
            pending->loop.cancel(pending->timer);
            pending->finish({});
        }
    }));
    pending->timer = loop.after(patience, [pending] { pending->finish(fail(Errc::timed_out, {})); });
    return {};
}

} // namespace vmm

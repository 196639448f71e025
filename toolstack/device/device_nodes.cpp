// SPDX-License-Identifier: Apache-2.0
#include "toolstack/device/device_nodes.hpp"

#include "toolstack/base/log.hpp"

#include <charconv>

#include <xen/io/xenbus.h>

namespace vmm::device
{

namespace
{

using store::Access;
using store::Permissions;

static_assert(static_cast<int>(State::init_wait) == XenbusStateInitWait);
static_assert(static_cast<int>(State::connected) == XenbusStateConnected);
static_assert(static_cast<int>(State::closed) == XenbusStateClosed);

constexpr std::string_view kNames[] = {"unknown",   "initialising", "init-wait", "initialised",
                                       "connected", "closing",      "closed"};

State read_state(Store_server& store, const std::string& path)
{
    const auto text = store.read(path);
    if (!text) {
        return State::absent;
    }
    int number             = 0;
    const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), number);
    const bool is_state    = code == std::errc() && end == text->data() + text->size() &&
                          number >= XenbusStateUnknown && number <= XenbusStateClosed;
    return is_state ? State{number} : State::unknown; // the frontend's comes from a guest
}

std::string text_of(State state) { return std::to_string(static_cast<int>(state)); }

Result<void> put(Store_batch& batch, const std::string& path, std::string_view value, const Permissions& who)
{
    TRY(batch.write(path, value));
    return batch.set_permissions(path, who);
}

Result<void> put_all(Store_batch& batch, const std::string& base, const Nodes& nodes, const Permissions& who)
{
    TRY(put(batch, base, "", who));
    for (const auto& [name, value] : nodes) {
        TRY(put(batch, base + "/" + name, value, who));
    }
    return {};
}

// Writes only what exists: a node of a device that has gone meanwhile must not come back.
Result<void> change(Store_batch& batch, const std::string& path, std::string_view value)
{
    return batch.read(path) ? batch.write(path, value) : Result<void>();
}

void remove(Store_server& store, const std::string& path)
{
    if (const auto removed = store.remove(path); !removed && removed.error().code != Errc::not_found) {
        log::warning("the store keeps " + path + ": " + removed.error().message);
    }
}

} // namespace

std::string_view name_of(State state)
{
    const auto number = static_cast<std::size_t>(state);
    return number < std::size(kNames) ? kNames[number] : "absent";
}

State backend_state(Store_server& store, const Address& address)
{
    return read_state(store, address.backend_path() + "/state");
}

State frontend_state(Store_server& store, const Address& address)
{
    return read_state(store, address.frontend_path() + "/state");
}

Result<void> write_nodes(Store_server& store, const Address& address, const Prepared& prepared)
{
    const Permissions guest_owned{{address.domain, Access::none}, {kDom0, Access::read}};
    const Permissions guest_readable{{kDom0, Access::none}, {address.domain, Access::read}};
    Nodes frontend{{"backend", address.backend_path()},
                   {"backend-id", to_string(kDom0)},
                   {"state", text_of(State::initialising)}};
    Nodes backend{{"frontend", address.frontend_path()},
                  {"frontend-id", to_string(address.domain)},
                  {"online", "1"},
                  {"state", text_of(State::initialising)}};
    frontend.insert(frontend.end(), prepared.frontend.begin(), prepared.frontend.end());
    backend.insert(backend.end(), prepared.backend.begin(), prepared.backend.end());
    return store.update([&](Store_batch& batch) -> Result<void> {
        TRY(put_all(batch, address.frontend_path(), frontend, guest_owned));
        return put_all(batch, address.backend_path(), backend, guest_readable);
    });
}

Result<void> write_hotplug_status(Store_server& store, const Address& address, std::string_view status)
{
    const std::string path = address.backend_path() + "/hotplug-status";
    const Permissions guest_readable{{kDom0, Access::none}, {address.domain, Access::read}};
    return store.update([&](Store_batch& batch) { return put(batch, path, status, guest_readable); });
}

Result<void> ask_to_close(Store_server& store, const Address& address)
{
    return store.update([&](Store_batch& batch) -> Result<void> {
        TRY(change(batch, address.backend_path() + "/online", "0"));
        return change(batch, address.backend_path() + "/state", text_of(State::closing));
    });
}

Result<void> declare_closed(Store_server& store, const Address& address)
{
    return store.update([&](Store_batch& batch) -> Result<void> {
        TRY(change(batch, address.backend_path() + "/online", "0"));
        return change(batch, address.frontend_path() + "/state", text_of(State::closed));
    });
}

void remove_nodes(Store_server& store, const Address& address)
{
    remove(store, address.frontend_path());
    for (const std::string& path : {address.backend_path(), address.backend_error_path()}) {
        remove(store, path);
        // The directory of the domain's devices of this class, when this was the last.
        const std::string above = path.substr(0, path.rfind('/'));
        if (const auto left = store.list(above); left && left->empty()) {
            remove(store, above);
        }
    }
}

std::string backend_error(Store_server& store, const Address& address)
{
    return store.read(address.backend_error_path() + "/error").value_or("");
}

} // namespace vmm::device

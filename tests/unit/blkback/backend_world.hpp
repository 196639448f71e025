// SPDX-License-Identifier: Apache-2.0
#pragma once
// A device of the backend with a made-up store and made-up event channels, and a frontend that does what the
// test says.
#include "fake_disk.hpp"
#include "frontend.hpp"
#include "guest-drivers/backend/device.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <set>

namespace vmm::block::test
{

struct Fake_store final : Store_link {
    Result<std::optional<std::string>> read(const std::string& path) override
    {
        if (away || (goes && path == goes_reading)) {
            away = true;
            return fail(Errc::not_connected, "the store is gone");
        }
        const auto found = nodes.find(path);
        return found == nodes.end() ? std::nullopt : std::optional(found->second);
    }
    Result<bool> write_if(const std::string& guard, const Nodes& more) override
    {
        if (away || goes) {
            away = true;
            return fail(Errc::not_connected, "the store is gone");
        }
        if (!nodes.contains(guard)) {
            return false;
        }
        for (const auto& [path, value] : more) {
            nodes[path] = value;
        }
        return true;
    }
    Result<void> watch(const std::string& path) override
    {
        watched.insert(path);
        return {};
    }

    std::map<std::string, std::string> nodes;
    std::set<std::string> watched;
    bool away = false;
    bool goes = false; // with the next write, or before, as this is read:
    std::string goes_reading;
};

struct Fake_events final : Events {
    Result<Evtchn_port> bind(Evtchn_port remote, std::function<void()> rung) override
    {
        if (raw(remote) > 100) {
            return fail(Errc::invalid, "there is no such port");
        }
        bells[raw(remote)] = std::move(rung);
        return remote;
    }
    void unbind(Evtchn_port port) override { bells.erase(raw(port)); }
    void notify(Evtchn_port) override { ++notified; }

    std::map<std::uint32_t, std::function<void()>> bells;
    unsigned notified = 0;
};

inline const std::string kBack  = "/local/domain/0/backend/vmmblk/3/51712";
inline const std::string kFront = "/local/domain/3/device/vbd/51712";

struct World {
    World() : front(64), disk(1000, false)
    {
        begin();
        nodes({{kBack + "/frontend", kFront},
               {kBack + "/frontend-id", "3"},
               {kBack + "/online", "1"},
               {kBack + "/state", "1"},
               {kFront + "/state", "1"}});
    }
    void begin()
    {
        device.emplace(Device::Settings{.frontend = Domid{3},
                                        .path     = kBack,
                                        .cdrom    = false,
                                        .offer    = {},
                                        .farewell = std::chrono::milliseconds(2)},
                       Device::Services{*loop, store, disk, buffers, front.guest, events, complaints, log});
        REQUIRE(device->begin([this] { ended = true; }));
    }
    void nodes(const Store_link::Nodes& some)
    {
        for (const auto& [path, value] : some) {
            store.nodes[path] = value;
        }
    }
    void look()
    {
        device->look();
        for (int i = 0; i < 4; ++i) {
            loop->defer([] {});
            REQUIRE(loop->run_once(std::chrono::nanoseconds(0)));
        }
    }
    // What the frontend says when it has seen the offer; then it is connected, or refused.
    void connect(const Store_link::Nodes& instead = {})
    {
        look();
        nodes({{kFront + "/ring-ref", std::to_string(Frontend::ref(0))},
               {kFront + "/event-channel", "5"},
               {kFront + "/protocol", "x86_64-abi"},
               {kFront + "/feature-persistent", "1"},
               {kFront + "/state", "3"}});
        nodes(instead);
        look();
    }
    [[nodiscard]] std::string back(const std::string& name) { return store.nodes[kBack + "/" + name]; }

    std::unique_ptr<Event_loop> loop = Event_loop::create().value();
    Fake_store store;
    Fake_events events;
    Frontend front;
    Fake_disk disk;
    Buffer_pool buffers{Buffer_pool::kLargest};
    Complaints complaints{"test", [](std::string_view) {}};
    Request_log log = Request_log::open("").value();
    std::optional<Device> device;
    bool ended = false;
};

} // namespace vmm::block::test

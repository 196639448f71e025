// SPDX-License-Identifier: Apache-2.0
#pragma once
// Two daemons over fake hypervisors and a connection between them, over which "a" moves from one to the
// other. The test says when the guest suspends and when the connection breaks, and asks afterwards who has
// the domain.

#include "daemon_fixture.hpp"

#include "toolstack/vmmd/domain_nodes.hpp"

#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace vmm::test
{

using control::Json;

inline constexpr std::uint64_t kMemory = 32U << 20;

struct Two_hosts {
    explicit Two_hosts(const Json& more = Json::object())
    {
        Json config{{"memory", 24}, {"maxmem", 32}};
        config.update(more);
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
        source_end   = Unique_fd(ends[0]);
        target_end   = Unique_fd(ends[1]);
        source_empty = source.hypervisor.free_pages;
        id           = source.create("a", config);
        std::memset(domain().memory + 0x1234567, 'x', 70000);
        target_free = target.hypervisor.free_pages;
    }

    // An operation whose answer has not come yet, with its end of the connection.
    struct Pending {
        std::optional<Answer> got;
        Operations::Cancel cancel;
    };
    std::shared_ptr<Pending> start(Daemon_fixture& daemon, const std::string& op, const Json& args,
                                   const Unique_fd& connection)
    {
        auto pending    = std::make_shared<Pending>();
        pending->cancel = daemon.operations->perform(op, args,
                                                     {[pending](Answer a) { pending->got = std::move(a); },
                                                      [] { return true; },
                                                      [&] {
                                                          std::vector<Unique_fd> both;
                                                          both.emplace_back(::dup(connection.get()));
                                                          both.emplace_back(::dup(connection.get()));
                                                          return both;
                                                      }});
        return pending;
    }
    void begin()
    {
        received = start(target, "receive", Json::object(), target_end);
        moved    = start(source, "migrate", {{"domain", "a"}, {"peer", "there"}}, source_end);
        target_end.reset();
    }
    // Nothing of it goes through from now on.
    void cut() { ::shutdown(source_end.get(), SHUT_RDWR); }

    void run_until(const std::function<bool()>& done)
    {
        const auto limit = Event_loop::Clock::now() + std::chrono::seconds(60);
        while (!done()) {
            REQUIRE(Event_loop::Clock::now() < limit);
            source.loop->run_once(std::chrono::milliseconds(1)).value();
            target.loop->run_once(std::chrono::milliseconds(1)).value();
        }
    }
    [[nodiscard]] Fake_domain& domain() { return source.hypervisor.domain(id); }
    std::string request() { return source.node(domain_path(id) + "/control/shutdown"); }
    void wait_for_request()
    {
        run_until([&] { return moved->got || request() == "suspend"; });
        REQUIRE_FALSE(moved->got.has_value());
    }
    void guest_suspends()
    {
        wait_for_request();
        source.store->write(domain_path(id) + "/control/shutdown", "").value();
        source.guest_ends(id, Shutdown_reason::suspend);
    }
    void finish()
    {
        run_until([&] { return moved->got && received->got; });
    }
    std::string phase()
    {
        const auto state = source.perform("migration", {{"domain", to_string(id)}});
        return state ? state->at("phase").get<std::string>() : "";
    }

    void check_runs_here()
    {
        INFO((received->got->has_value() ? "" : received->got->error().message));
        REQUIRE_FALSE(moved->got->has_value());
        REQUIRE_FALSE(received->got->has_value());
        CHECK_FALSE(domain().info.shutdown);
        CHECK_FALSE(domain().info.paused);
        CHECK_FALSE(domain().logs_writes);
        CHECK(source.supervisor->domains().find(id) != nullptr);
        target.check_nothing_left(target_free);
    }
    Domid check_runs_there()
    {
        INFO((moved->got->has_value() ? "" : moved->got->error().message));
        INFO((received->got->has_value() ? "" : received->got->error().message));
        REQUIRE(received->got->has_value());
        const Domid now{(*received->got)->at("domid").get<std::uint16_t>()};
        CHECK_FALSE(target.hypervisor.domain(now).info.paused);
        CHECK(target.node(domain_path(now) + "/name") == "a");
        return now;
    }

    Daemon_fixture source;
    Daemon_fixture target;
    Unique_fd source_end;
    Unique_fd target_end;
    Domid id{};
    std::shared_ptr<Pending> moved;
    std::shared_ptr<Pending> received;
    std::uint64_t source_empty = 0;
    std::uint64_t target_free  = 0;
};

} // namespace vmm::test

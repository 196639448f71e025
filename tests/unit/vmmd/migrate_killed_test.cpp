// SPDX-License-Identifier: Apache-2.0
// A vmmd that is killed at one of the two hosts of a migration, at every step of it. Never do both run the
// domain; which of them does follows from whether the word had been written down here and had arrived there.
#include "relay.hpp"
#include "two_hosts.hpp"

using namespace vmm;
using namespace vmm::test;
using control::Json;

namespace
{

// On its way, and held up where this record would arrive.
struct Held : Two_hosts {
    explicit Held(const std::string& record)
    {
        INFO(record);
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
        relay      = std::make_unique<Relay>(std::move(target_end), Unique_fd(ends[0]), record);
        target_end = Unique_fd(ends[1]);
        begin();
        source_end.reset(); // as xm does: the connection is vmmd's
        go_on_until([&] { return relay->holds(); });
    }
    // The guest does what it is asked.
    void go_on_until(const std::function<bool()>& done)
    {
        run_until([&] {
            if (request() == "suspend") {
                source.store->write(domain_path(id) + "/control/shutdown", "").value();
                source.guest_ends(id, Shutdown_reason::suspend);
            }
            return done();
        });
    }
    void kill_source()
    {
        source.restart();
        moved.reset(); // whoever asked has no vmmd any more
    }
    void kill_target()
    {
        target.restart();
        received.reset();
    }
    // Of those who can still hear of it.
    void end_comes()
    {
        go_on_until([&] { return (!moved || moved->got) && (!received || received->got); });
    }
    [[nodiscard]] bool runs_here() { return runs(source); }
    [[nodiscard]] bool runs_there() { return runs(target); }
    static bool runs(Daemon_fixture& daemon)
    {
        return std::ranges::any_of(daemon.hypervisor.domains, [](const auto& entry) {
            return entry.first != kDom0 && !entry.second->info.paused && !entry.second->info.shutdown;
        });
    }
    void check_only_here()
    {
        CHECK(runs_here());
        CHECK_FALSE(domain().logs_writes);
        target.check_nothing_left(target_free);
    }
    void check_stands_still_here()
    {
        CHECK_FALSE(runs_here());
        CHECK(domain().info.shutdown == Shutdown_reason::suspend);
        CHECK(source.state_text().find("there") != std::string::npos); // who it was handed over to
    }
    void take_back()
    {
        REQUIRE(source.perform("take-back", {{"domain", "a"}}).has_value());
        CHECK(runs_here());
    }

    std::unique_ptr<Relay> relay;
};

std::string any_before_the_word()
{
    return GENERATE("description", "prepared", "frames", "so far", "processors", "end", "complete");
}

} // namespace

TEST_CASE("a target that is killed before the word leaves the domain here")
{
    Held hosts(any_before_the_word());
    hosts.kill_target();
    hosts.relay->cut();
    hosts.end_comes();
    CHECK_FALSE(hosts.moved->got->has_value());
    hosts.check_only_here();
}

TEST_CASE("a source that is killed before the word finds the domain again, and the target forgets it")
{
    Held hosts(any_before_the_word());
    hosts.kill_source();
    hosts.relay->cut();
    hosts.end_comes();
    hosts.check_only_here();
}

TEST_CASE("a target that is killed with the word on its way has nothing, and the source asks a person")
{
    Held hosts("commit");
    hosts.kill_target();
    hosts.relay->cut();
    hosts.end_comes();
    REQUIRE_FALSE(hosts.moved->got->has_value());
    CHECK(hosts.moved->got->error().message.find("take-back") != std::string::npos);
    hosts.check_stands_still_here();
    hosts.target.check_nothing_left(hosts.target_free);
    hosts.take_back();
}

TEST_CASE("a target that is killed once it runs the domain goes on with it, and the source asks a person")
{
    Held hosts("runs");
    CHECK(hosts.runs_there());
    hosts.kill_target();
    hosts.relay->cut();
    hosts.end_comes();
    CHECK_FALSE(hosts.moved->got->has_value());
    CHECK(hosts.runs_there());
    hosts.check_stands_still_here();
    hosts.source.restart();
    hosts.check_stands_still_here();
    REQUIRE(hosts.source.perform("destroy", {{"domain", "a"}}).has_value());
    hosts.source.check_nothing_left(hosts.source_empty);
}

TEST_CASE("a source that is killed as it gives the word does not run the domain, whether that arrives or not")
{
    Held hosts("commit");
    hosts.kill_source();
    hosts.check_stands_still_here();
    SECTION("it arrives")
    {
        hosts.relay->pass_on();
        hosts.end_comes();
        CHECK(hosts.runs_there());
        hosts.check_stands_still_here();
    }
    SECTION("it does not")
    {
        hosts.relay->cut();
        hosts.end_comes();
        hosts.target.check_nothing_left(hosts.target_free);
        hosts.take_back();
    }
}

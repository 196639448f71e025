// SPDX-License-Identifier: Apache-2.0
// The interface the daemon uses.
#include "toolstack/store/store_server.hpp"
#include "watching_guest.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

using namespace vmm;
using store::Access;
using store::Permissions;
using Paths = std::vector<std::string>;

namespace
{

struct Host {
    std::unique_ptr<Event_loop> loop     = std::move(*Event_loop::create());
    std::string socket                   = "/tmp/store-local-" + std::to_string(getpid()) + ".socket";
    std::unique_ptr<Store_server> server = std::move(*Store_server::create(*loop, {socket, {}}));

    void turn()
    {
        for (int i = 0; i < 5; ++i) {
            REQUIRE(loop->run_once(Event_loop::Duration::zero()));
        }
    }
};

} // namespace

TEST_CASE("reading and writing with dom0's rights")
{
    Host host;
    Store_server& s = *host.server;
    REQUIRE(s.write("/a/b", "1"));
    REQUIRE(s.mkdir("/a/c"));
    REQUIRE(s.write("name", "Domain-0"));
    CHECK(s.read("/a/b") == "1");
    CHECK(s.read("/local/domain/0/name") == "Domain-0");
    CHECK(*s.list("/a") == Paths{"b", "c"});
    CHECK(s.list("/a/c")->empty());
    CHECK(s.exists("/a"));
    CHECK_FALSE(s.exists("/x"));
    CHECK(s.read("/x").error().code == Errc::not_found);
    CHECK(s.write("/bad path", "").error().code == Errc::invalid);
    REQUIRE(s.remove("/a"));
    REQUIRE(s.remove("/a/b")); // gone already, parent included
    CHECK_FALSE(s.exists("/a/b"));
    const Permissions permissions = {{Domid(0), Access::none}, {Domid(3), Access::read}};
    REQUIRE(s.mkdir("/p"));
    REQUIRE(s.set_permissions("/p", permissions));
    CHECK(s.permissions("/p") == permissions);
    CHECK_FALSE(s.set_permissions("/p", {}));
    REQUIRE(s.set_permissions("@releaseDomain", permissions));
    CHECK(s.permissions("@releaseDomain") == permissions);
}

TEST_CASE("update makes all changes or none")
{
    Host host;
    Store_server& s = *host.server;
    const auto made = s.update([](Store_batch& batch) -> Result<void> {
        TRY(batch.write("/d/a", "1"));
        TRY(batch.set_permissions("/d/a", {{Domid(4), Access::none}}));
        CHECK(batch.read("/d/a") == "1");
        CHECK(*batch.list("/d") == Paths{"a"});
        return {};
    });
    REQUIRE(made);
    CHECK(s.read("/d/a") == "1");
    const auto failed = s.update([](Store_batch& batch) -> Result<void> {
        TRY(batch.remove("/d/a"));
        TRY(batch.mkdir("/d/b"));
        return fail(Errc::busy, "no");
    });
    CHECK(failed.error().code == Errc::busy);
    CHECK(*s.list("/d") == Paths{"a"});
}

TEST_CASE("a watch calls back on later turns, once for each path")
{
    Host host;
    Store_server& s = *host.server;
    Paths seen;
    const auto handle = s.watch("/w", [&](const std::string& path) { seen.push_back(path); });
    REQUIRE(handle);
    CHECK(seen.empty());
    host.turn();
    CHECK(seen == Paths{"/w"});
    seen.clear();
    REQUIRE(s.write("/w/x", "1"));
    REQUIRE(s.write("/w/x", "2"));
    REQUIRE(s.write("/w/y", "1"));
    REQUIRE(s.write("/v", "1"));
    CHECK(seen.empty());
    host.turn();
    CHECK(seen == Paths{"/w/x", "/w/y"});
    s.unwatch(*handle);
    seen.clear();
    REQUIRE(s.write("/w/x", "3"));
    host.turn();
    CHECK(seen.empty());
    CHECK_FALSE(s.watch("/bad path", [](const std::string&) {}));
}

TEST_CASE("a callback may write, set watches and drop its own")
{
    Host host;
    Store_server& s = *host.server;
    Paths seen;
    Store_server::Watch_handle outer{};
    outer = *s.watch("/w", [&](const std::string& path) {
        seen.push_back("outer " + path);
        s.unwatch(outer);
        REQUIRE(s.write("/w/made", "x"));
        REQUIRE(s.watch(
            "/w/made", [&](const std::string& inner) { seen.push_back("inner " + inner); }, 0));
    });
    REQUIRE(s.write("/w/a", "x"));
    host.turn();
    CHECK(seen == Paths{"outer /w", "inner /w/made"});
}

TEST_CASE("an in-process watch that was waiting when the server went is not called")
{
    Host host;
    bool called = false;
    REQUIRE(host.server->watch("/w", [&](const std::string&) { called = true; }));
    host.server.reset();
    host.turn();
    CHECK_FALSE(called);
    CHECK_FALSE(std::filesystem::exists(host.socket));
}

TEST_CASE("it is known whether a domain watches, and told when it does not any more")
{
    Host host;
    Store_server& s = *host.server;
    store::test::Watching_guest guest(s, Domid(3));
    store::test::Watching_guest other(s, Domid(4));
    other.watch("/back/5/state");
    host.turn();
    CHECK_FALSE(s.is_watched("/back/5", Domid(3)));
    CHECK(s.is_watched("/back/5", Domid(4)));
    int called      = 0;
    const auto tell = [&called] { ++called; };
    s.when_unwatched("/back/5", Domid(3), tell);
    CHECK(called == 0);
    host.turn();
    CHECK(called == 1); // it had none

    guest.watch("/back/5/state");
    guest.watch("/back/5");
    guest.watch("/back/55");
    host.turn();
    CHECK(s.is_watched("/back/5", Domid(3)));
    s.when_unwatched("/back/5", Domid(3), tell);
    host.turn();
    guest.unwatch("/back/5/state");
    other.unwatch("/back/5/state");
    host.turn();
    CHECK(called == 1);
    guest.unwatch("/back/5");
    host.turn();
    CHECK_FALSE(s.is_watched("/back/5", Domid(3)));
    CHECK(called == 2);

    s.when_unwatched("/back/55", Domid(3), tell);
    host.turn();
    CHECK(called == 2);
    s.release(Domid(3)); // it is gone, and its watches with it
    host.turn();
    CHECK(called == 3);
    guest.watch("/back/5"); // nobody listens
    s.when_unwatched("/back/5", Domid(4), [] { FAIL("the server is gone"); });
    host.server.reset();
    host.turn();
}

TEST_CASE("a shutdown is announced without dropping the domain")
{
    Host host;
    const store::test::Watching_guest guest(*host.server, Domid(3));
    Paths seen;
    REQUIRE(host.server->watch(
        "@releaseDomain", [&](const std::string& path) { seen.push_back(path); }, 1));
    host.turn();
    host.server->announce_shutdown(Domid(3));
    host.turn();
    CHECK(seen == Paths{"@releaseDomain", "@releaseDomain/3"});
    CHECK(host.server->is_introduced(Domid(3)));
}

TEST_CASE("the socket is private, a stale one is replaced, a served one and a file are not")
{
    Host host;
    struct stat info {
    };
    REQUIRE(::stat(host.socket.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    const auto second = Store_server::create(*host.loop, {host.socket, {}});
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::busy);

    const std::string other = host.socket + "-other";
    {
        const auto ended = Store_server::create(*host.loop, {other, {}});
        REQUIRE(ended);
        std::filesystem::create_hard_link(other, other + "-stale"); // what a killed daemon leaves behind
    }
    CHECK(Store_server::create(*host.loop, {other + "-stale", {}}));
    CHECK_FALSE(std::filesystem::exists(other + "-stale"));

    std::ofstream(other) << "precious";
    CHECK_FALSE(Store_server::create(*host.loop, {other, {}}));
    CHECK(std::filesystem::file_size(other) == 8);
    std::filesystem::remove(other);
    CHECK_FALSE(Store_server::create(*host.loop, {std::string(200, 'x'), {}}));
}

// SPDX-License-Identifier: Apache-2.0
#include "store_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>

using namespace vmm;
using namespace vmm::store;
using namespace vmm::store::test;

using Events = std::vector<Event>;

TEST_CASE("a watch fires once when it is set, and for every kind of change at or below its path")
{
    World world;
    REQUIRE(world.dom0.watch("/a", "t") == "OK");
    CHECK(world.dom0.events() == Events{{"/a", "t"}});
    REQUIRE(world.dom0.write("/a/b/c", "1") == "OK");
    CHECK(world.dom0.events() == Events{{"/a/b/c", "t"}}); // for the node asked for, not for each parent made
    REQUIRE(world.dom0.write("/a/b/c", "2") == "OK");
    REQUIRE(world.dom0.mkdir("/a/d") == "OK");
    REQUIRE(world.dom0.set_perms("/a/d", "n0 r1") == "OK");
    REQUIRE(world.dom0.rm("/a/b") == "OK");
    CHECK(world.dom0.events() == Events{{"/a/b/c", "t"}, {"/a/d", "t"}, {"/a/d", "t"}, {"/a/b", "t"}});
    REQUIRE(world.dom0.mkdir("/a/d") == "OK"); // exists: nothing changes
    REQUIRE(world.dom0.rm("/a/none") == "OK");
    REQUIRE(world.dom0.write("/ab", "x") == "OK");
    REQUIRE(world.dom0.write("/a-b", "x") == "OK");
    CHECK(world.dom0.events().empty());
    CHECK(world.dom0.unwatch("/a", "t") == "OK");
    REQUIRE(world.dom0.write("/a", "x") == "OK");
    CHECK(world.dom0.events().empty());
}

TEST_CASE("removing a node tells each watch below it under the watch's own path")
{
    World world;
    REQUIRE(world.dom0.write("/a/b/c", "1") == "OK");
    for (const auto* path : {"/a/b/c", "/a/b", "/a", "/a/b/none", "/"}) {
        REQUIRE(world.dom0.watch(path, std::string("on-") + path) == "OK");
    }
    world.dom0.events();
    REQUIRE(world.dom0.rm("/a") == "OK");
    auto events = world.dom0.events();
    std::ranges::sort(events, {}, &Event::token);
    CHECK(events == Events{{"/a", "on-/"}, {"/a", "on-/a"}, {"/a/b", "on-/a/b"}, {"/a/b/c", "on-/a/b/c"}});
}

TEST_CASE("depth limits how far below a change is told")
{
    World world;
    REQUIRE(world.dom0.watch("/a", "zero", "0") == "OK");
    REQUIRE(world.dom0.watch("/a", "one", "1") == "OK");
    REQUIRE(world.dom0.watch("/", "root", "1") == "OK");
    world.dom0.events();
    REQUIRE(world.dom0.write("/a", "x") == "OK");
    CHECK(world.dom0.events() == Events{{"/a", "zero"}, {"/a", "one"}, {"/a", "root"}});
    REQUIRE(world.dom0.write("/a/b", "x") == "OK");
    CHECK(world.dom0.events() == Events{{"/a/b", "one"}});
    REQUIRE(world.dom0.write("/a/b/c", "x") == "OK");
    CHECK(world.dom0.events().empty());
    CHECK(world.dom0.watch("/a", "bad", "-1") == "EINVAL");
    CHECK(world.dom0.watch("/a", "bad", "x") == "EINVAL");
    CHECK(world.dom0.send(XS_WATCH, std::string("/a\0t\0001\0002\0", 9)) == "EINVAL");
}

TEST_CASE("a watch set with a relative path reports relative paths")
{
    World world;
    REQUIRE(world.dom0.mkdir("/local/domain/1") == "OK");
    REQUIRE(world.dom0.set_perms("/local/domain/1", "n1") == "OK");
    REQUIRE(world.dom1.watch("data", "t") == "OK");
    CHECK(world.dom1.events() == Events{{"data", "t"}});
    REQUIRE(world.dom1.write("data/x", "1") == "OK");
    CHECK(world.dom1.events() == Events{{"data/x", "t"}});
    CHECK(world.dom1.watch("/local/domain/1/data", "t") == "EEXIST");
    CHECK(world.dom1.unwatch("/local/domain/1/data", "t") == "OK");
}

TEST_CASE("an event goes only to those who may read the node, its parent, or could before")
{
    World world;
    REQUIRE(world.dom0.write("/d/n", "x") == "OK");
    REQUIRE(world.dom1.watch("/d", "t") == "OK");
    world.dom1.events();
    REQUIRE(world.dom0.write("/d/n", "y") == "OK");
    CHECK(world.dom1.events().empty());
    REQUIRE(world.dom0.set_perms("/d/n", "n0 r1") == "OK");
    CHECK(world.dom1.events() == Events{{"/d/n", "t"}});
    REQUIRE(world.dom0.set_perms("/d/n", "n0") == "OK"); // it loses sight of the node, and is told so
    CHECK(world.dom1.events() == Events{{"/d/n", "t"}});
    REQUIRE(world.dom0.rm("/d/n") == "OK");
    CHECK(world.dom1.events().empty());
    REQUIRE(world.dom0.set_perms("/d", "r0") == "OK");
    world.dom1.events();
    REQUIRE(world.dom0.write("/d/m", "z") == "OK"); // inherits r0
    REQUIRE(world.dom0.set_perms("/d/m", "n0") == "OK");
    CHECK(world.dom1.events() == Events{{"/d/m", "t"}}); // the same event twice, merged while it waits
    REQUIRE(world.dom0.rm("/d/m") == "OK");              // the parent is readable
    CHECK(world.dom1.events() == Events{{"/d/m", "t"}});
}

TEST_CASE("watch requests that are wrong")
{
    World world;
    CHECK(world.dom1.watch("/a", "t") == "OK");
    CHECK(world.dom1.watch("/a", "t") == "EEXIST");
    CHECK(world.dom1.watch("/a", "t2") == "OK");
    CHECK(world.dom1.watch("/a/", "t") == "EINVAL");
    CHECK(world.dom1.watch("@" + std::string(2048, 'x'), "t") == "EINVAL");
    CHECK(world.dom1.watch("@whatever", "t") == "OK");
    CHECK(world.dom1.unwatch("/a", "none") == "ENOENT");
    CHECK(world.dom1.send(XS_WATCH, Client::z("/a")) == "EINVAL");
    CHECK(world.dom1.send(XS_UNWATCH, "") == "EINVAL");
}

TEST_CASE("special watches go to dom0, and to others by permission")
{
    World world;
    for (Client* client : {&world.dom0, &world.dom1}) {
        REQUIRE(client->watch("@introduceDomain", "i") == "OK");
        REQUIRE(client->watch("@releaseDomain", "r") == "OK");
        REQUIRE(client->watch("@releaseDomain", "d", "1") == "OK");
        REQUIRE(client->watch("@releaseDomain/7", "7") == "OK");
        REQUIRE(client->watch("/", "root") == "OK");
        client->events();
    }
    CHECK(world.dom0.watch("@releaseDomain", "x", "2") == "EINVAL");
    world.store.announce_special(kIntroduceDomain, Domid(7));
    world.store.announce_special(kReleaseDomain, Domid(8));
    CHECK(world.dom0.events() ==
          Events{{"@introduceDomain", "i"}, {"@releaseDomain", "r"}, {"@releaseDomain/8", "d"}});
    CHECK(world.dom1.events().empty());
    CHECK(world.dom1.set_perms("@releaseDomain", "n1") == "EACCES");
    CHECK(world.dom1.get_perms("@releaseDomain") == "EACCES");
    REQUIRE(world.dom0.set_perms("@releaseDomain", "n0 r1") == "OK");
    world.store.announce_special(kReleaseDomain, Domid(7));
    CHECK(world.dom1.events() ==
          Events{{"@releaseDomain", "r"}, {"@releaseDomain/7", "d"}, {"@releaseDomain/7", "7"}});
    CHECK(world.dom0.set_perms("@other", "n0") == "EINVAL");
    CHECK(world.dom0.read("@releaseDomain") == "EINVAL");
}

TEST_CASE("RESET_WATCHES drops the caller's watches and transactions only")
{
    World world;
    REQUIRE(world.dom0.watch("/a", "t") == "OK");
    REQUIRE(world.dom1.watch("@x", "t") == "OK");
    const auto transaction = world.dom1.start();
    CHECK(Client::ok(world.dom1.send(XS_RESET_WATCHES, Client::z(""))) == "OK");
    CHECK(world.dom1.end(transaction) == "ENOENT");
    CHECK(world.dom1.watch("@x", "t") == "OK"); // no EEXIST: it was gone
    world.dom0.events();
    REQUIRE(world.dom0.write("/a", "x") == "OK");
    CHECK(world.dom0.events() == Events{{"/a", "t"}});
}

// The index against the definition, on many random paths.
TEST_CASE("the watch index finds exactly the watches on a path, above it and below it")
{
    struct Nobody final : Watcher {
        const Caller& caller() const override { return someone; }
        void deliver(Watch&, std::string_view) override {}
        Caller someone{};
    } nobody;
    std::mt19937 random(1); // the same paths every time
    const auto random_path = [&] {
        static const std::vector<std::string> names = {"a", "a-", "a0", "aa", "b", "-", "@"};
        std::string text;
        for (unsigned depth = random() % 5; depth > 0; --depth) {
            text += "/" + names[random() % names.size()];
        }
        return text.empty() ? std::string("/") : text;
    };
    const auto is_above = [](std::string above, std::string below) {
        return above == below || above == "/" || below.starts_with(above + "/");
    };
    for (int round = 0; round < 200; ++round) {
        std::vector<Watch> watches;
        for (int i = 0; i < 12; ++i) {
            watches.push_back({&nobody, random_path(), std::to_string(i)});
        }
        Watch_index index;
        for (Watch& watch : watches) {
            index.add(watch);
        }
        const std::string path = random_path();
        std::set<Watch*> covering;
        std::set<Watch*> below;
        for (Watch& watch : watches) {
            if (is_above(watch.path, path)) {
                covering.insert(&watch);
            } else if (is_above(path, watch.path)) {
                below.insert(&watch);
            }
        }
        const auto found = index.covering(path);
        CHECK(std::set<Watch*>(found.begin(), found.end()) == covering);
        CHECK(found.size() == covering.size());
        const auto found_below = index.below(path);
        CHECK(std::set<Watch*>(found_below.begin(), found_below.end()) == below);
        for (Watch& watch : watches) {
            index.remove(watch);
        }
        CHECK(index.covering(path).empty());
    }
}

// SPDX-License-Identifier: Apache-2.0
#include "store_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::store;
using namespace vmm::store::test;

using Events = std::vector<Event>;

TEST_CASE("a transaction sees its own changes, others see them when it commits")
{
    World world;
    REQUIRE(world.dom0.write("/a", "1") == "OK");
    const auto t = world.dom0.start();
    REQUIRE(world.dom0.write("/a", "2", t) == "OK");
    REQUIRE(world.dom0.write("/b/c", "3", t) == "OK");
    CHECK(world.dom0.read("/a", t) == "2");
    CHECK(world.dom0.directory("/b", t) == "c");
    CHECK(world.dom0.read("/a") == "1");
    CHECK(world.dom0.read("/b/c") == "ENOENT");
    CHECK(world.dom0.end(t) == "OK");
    CHECK(world.dom0.read("/a") == "2");
    CHECK(world.dom0.read("/b/c") == "3");
    CHECK(world.dom0.end(t) == "ENOENT");
}

TEST_CASE("an aborted transaction leaves nothing")
{
    World world;
    const auto t = world.dom0.start();
    REQUIRE(world.dom0.write("/a", "1", t) == "OK");
    CHECK(world.dom0.end(t, false) == "OK");
    CHECK(world.dom0.read("/a") == "ENOENT");
    CHECK(world.store.nodes_owned_by(kDom0) == 1);
}

TEST_CASE("a snapshot does not move while others write")
{
    World world;
    REQUIRE(world.dom0.write("/a", "1") == "OK");
    const auto t = world.dom0.start();
    REQUIRE(world.dom0.write("/a", "2") == "OK");
    REQUIRE(world.dom0.write("/new", "2") == "OK");
    CHECK(world.dom0.read("/a", t) == "1");
    CHECK(world.dom0.read("/new", t) == "ENOENT");
    CHECK(world.dom0.end(t) == "EAGAIN");
}

namespace
{

// What a transaction does, what somebody else does meanwhile, and whether that is a conflict.
struct Interference {
    const char* name;
    std::function<void(World&, std::uint32_t)> inside;
    std::function<void(World&)> outside;
    const char* answer;
};

} // namespace

TEST_CASE("a commit fails exactly when something the transaction relied on has changed")
{
    const auto reads = [](std::string path) {
        return [=](World& w, std::uint32_t t) { w.dom0.read(path, t); };
    };
    const auto writes_in = [](std::string path) {
        return [=](World& w, std::uint32_t t) { w.dom0.write(path, "in", t); };
    };
    const auto lists = [](std::string path) {
        return [=](World& w, std::uint32_t t) { w.dom0.directory(path, t); };
    };
    const auto removes_in = [](std::string path) {
        return [=](World& w, std::uint32_t t) { w.dom0.rm(path, t); };
    };
    const auto writes = [](std::string path) {
        return [=](World& w) { REQUIRE(w.dom0.write(path, "out") == "OK"); };
    };
    const auto removes = [](std::string path) { return [=](World& w) { REQUIRE(w.dom0.rm(path) == "OK"); }; };
    const auto chmods  = [](std::string path) {
        return [=](World& w) { REQUIRE(w.dom0.set_perms(path, "n0 r9") == "OK"); };
    };
    const std::vector<Interference> cases = {
        {"read, same node written", reads("/d/x"), writes("/d/x"), "EAGAIN"},
        {"read, same node removed", reads("/d/x"), removes("/d/x"), "EAGAIN"},
        {"read, same node removed with its parent", reads("/d/x"), removes("/d"), "EAGAIN"},
        {"read, permissions changed", reads("/d/x"), chmods("/d/x"), "EAGAIN"},
        {"read absent, created", reads("/d/new"), writes("/d/new"), "EAGAIN"},
        {"read absent, sibling created", reads("/d/new"), writes("/d/other"), "OK"},
        {"read, another node written", reads("/d/x"), writes("/d/y"), "OK"},
        {"read, child created below", reads("/d/x"), writes("/d/x/child"), "OK"},
        {"write, same node written", writes_in("/d/x"), writes("/d/x"), "EAGAIN"},
        {"write, same node removed", writes_in("/d/x"), removes("/d/x"), "EAGAIN"},
        {"write, another node written", writes_in("/d/x"), writes("/d/y"), "OK"},
        {"create, another child created", writes_in("/d/new"), writes("/d/other"), "OK"},
        {"create, same child created", writes_in("/d/new"), writes("/d/new"), "EAGAIN"},
        {"create deep, first missing parent created", writes_in("/d/p/q/r"), writes("/d/p/other"), "EAGAIN"},
        {"create, parent removed", writes_in("/d/new"), removes("/d"), "EAGAIN"},
        {"create, parent's value written", writes_in("/d/new"), writes("/d"), "OK"},
        {"create, parent's permissions changed", writes_in("/d/new"), chmods("/d"), "EAGAIN"},
        {"list, child created", lists("/d"), writes("/d/new"), "EAGAIN"},
        {"list, child removed", lists("/d"), removes("/d/x"), "EAGAIN"},
        {"list, child's value written", lists("/d"), writes("/d/x"), "OK"},
        {"list, grandchild created", lists("/d"), writes("/d/x/new"), "OK"},
        {"remove, node written", removes_in("/d"), writes("/d"), "EAGAIN"},
        {"remove, something below written", removes_in("/d"), writes("/d/x"), "EAGAIN"},
        {"remove, something below created", removes_in("/d"), writes("/d/x/y/z"), "EAGAIN"},
        {"remove, sibling written", removes_in("/d/x"), writes("/d/y"), "OK"},
        {"remove absent, created", removes_in("/d/new"), writes("/d/new"), "EAGAIN"},
        {"remove absent, its parent removed", removes_in("/d/new"), removes("/d"), "EAGAIN"},
        {"nothing, everything removed", [](World&, std::uint32_t) {}, removes("/d"), "OK"},
    };
    for (const Interference& c : cases) {
        World world;
        REQUIRE(world.dom0.write("/d/x", "x") == "OK");
        REQUIRE(world.dom0.write("/d/y", "y") == "OK");
        INFO(c.name);
        const auto t = world.dom0.start();
        c.inside(world, t);
        c.outside(world);
        CHECK(world.dom0.end(t) == c.answer);
    }
}

TEST_CASE("what others changed meanwhile survives a commit that does not conflict")
{
    World world;
    REQUIRE(world.dom0.write("/d/x", "0") == "OK");
    const auto one = world.dom0.start();
    const auto two = world.dom0.start();
    REQUIRE(world.dom0.write("/d/one", "1", one) == "OK");
    REQUIRE(world.dom0.write("/d/two", "2", two) == "OK");
    REQUIRE(world.dom0.write("/d/x", "3") == "OK");
    CHECK(world.dom0.end(one) == "OK");
    CHECK(world.dom0.end(two) == "OK");
    CHECK(world.dom0.directory("/d") == "one two x");
    CHECK(world.dom0.read("/d/x") == "3");
}

TEST_CASE("of two transactions that write the same node the second fails, and succeeds when repeated")
{
    World world;
    REQUIRE(world.dom0.write("/n", "0") == "OK");
    const auto one = world.dom0.start();
    const auto two = world.dom0.start();
    REQUIRE(world.dom0.write("/n", "1", one) == "OK");
    REQUIRE(world.dom0.write("/n", "2", two) == "OK");
    CHECK(world.dom0.end(one) == "OK");
    CHECK(world.dom0.end(two) == "EAGAIN");
    CHECK(world.dom0.read("/n") == "1");
    const auto again = world.dom0.start();
    REQUIRE(world.dom0.write("/n", "2", again) == "OK");
    CHECK(world.dom0.end(again) == "OK");
    CHECK(world.dom0.read("/n") == "2");
}

TEST_CASE("removing and making again inside a transaction replaces the whole subtree")
{
    World world;
    REQUIRE(world.dom0.write("/a/b/c", "old") == "OK");
    REQUIRE(world.dom0.write("/a/k", "kept") == "OK");
    const auto t = world.dom0.start();
    REQUIRE(world.dom0.write("/a/b/c/below", "gone", t) == "OK");
    REQUIRE(world.dom0.rm("/a/b", t) == "OK");
    REQUIRE(world.dom0.write("/a/b/n", "new", t) == "OK");
    REQUIRE(world.dom0.write("/a/b/n", "newer", t) == "OK");
    CHECK(world.dom0.end(t) == "OK");
    CHECK(world.dom0.directory("/a") == "b k");
    CHECK(world.dom0.directory("/a/b") == "n");
    CHECK(world.dom0.read("/a/b/n") == "newer");
    CHECK(world.store.nodes_owned_by(kDom0) == 5); // the root, /a, /a/b, /a/b/n, /a/k
}

TEST_CASE("making and removing inside a transaction leaves no trace and no event")
{
    World world;
    REQUIRE(world.dom0.watch("/", "t") == "OK");
    world.dom0.events();
    const auto t = world.dom0.start();
    REQUIRE(world.dom0.write("/x/y", "1", t) == "OK");
    REQUIRE(world.dom0.rm("/x", t) == "OK");
    CHECK(world.dom0.end(t) == "OK");
    CHECK(world.dom0.directory("/") == "");
    CHECK(world.dom0.events().empty());
}

TEST_CASE("events come at the commit, one for each node changed, in the order of the changes")
{
    World world;
    REQUIRE(world.dom0.write("/d/z", "0") == "OK");
    REQUIRE(world.dom0.watch("/d", "t") == "OK");
    world.dom0.events();
    const auto t = world.dom0.start();
    REQUIRE(world.dom0.write("/d/y", "1", t) == "OK");
    REQUIRE(world.dom0.write("/d/x/w", "2", t) == "OK");
    REQUIRE(world.dom0.rm("/d/z", t) == "OK");
    REQUIRE(world.dom0.write("/d/y", "3", t) == "OK");
    CHECK(world.dom0.events().empty());
    CHECK(world.dom0.end(t) == "OK");
    CHECK(world.dom0.events() == Events{{"/d/x/w", "t"}, {"/d/z", "t"}, {"/d/y", "t"}});
}

TEST_CASE("watches below a node removed in a transaction are told")
{
    World world;
    REQUIRE(world.dom0.write("/d/x/y", "0") == "OK");
    REQUIRE(world.dom0.watch("/d/x/y", "t") == "OK");
    world.dom0.events();
    const auto t = world.dom0.start();
    REQUIRE(world.dom0.rm("/d", t) == "OK");
    CHECK(world.dom0.end(t) == "OK");
    CHECK(world.dom0.events() == Events{{"/d/x/y", "t"}});
}

TEST_CASE("permissions changed in a transaction are committed with the node's owner")
{
    World world;
    REQUIRE(world.dom0.write("/d/x", "v") == "OK");
    const auto t = world.dom0.start();
    REQUIRE(world.dom0.set_perms("/d/x", "n1 r2", t) == "OK");
    CHECK(world.dom0.end(t) == "OK");
    CHECK(world.dom0.get_perms("/d/x") == "n1 r2");
    CHECK(world.store.nodes_owned_by(Domid(1)) == 1);
    CHECK(world.dom2.read("/d/x") == "v");
}

TEST_CASE("transaction requests that are wrong")
{
    World world;
    const auto t = world.dom0.start();
    CHECK(t != 0);
    CHECK(world.dom0.send(XS_TRANSACTION_START, Client::z(""), t) == "EBUSY");
    CHECK(world.dom0.send(XS_TRANSACTION_END, Client::z("X"), t) == "EINVAL");
    CHECK(world.dom0.send(XS_TRANSACTION_END, "T", t) == "EINVAL");
    CHECK(world.dom0.send(XS_TRANSACTION_END, Client::z("T"), 0) == "ENOENT");
    CHECK(world.dom0.read("/", t + 1) == "ENOENT");
    CHECK(world.dom1.read("/", t) == "ENOENT"); // another client's
    CHECK(world.dom0.watch("/a", "t") == "OK");
    CHECK(Client::ok(world.dom0.send(XS_WATCH, Client::z("/b") + Client::z("t"), 12345)) ==
          "OK"); // id ignored
    CHECK(world.dom0.end(t) == "OK");
}

TEST_CASE("a transaction inside which a quota was hit can still be committed or dropped")
{
    Quotas quotas;
    quotas.nodes = 3;
    World world(quotas);
    REQUIRE(world.dom0.mkdir("/d") == "OK");
    REQUIRE(world.dom0.set_perms("/d", "n1") == "OK");
    const auto t = world.dom1.start();
    CHECK(world.dom1.write("/d/a", "1", t) == "OK");
    CHECK(world.dom1.write("/d/b/c", "1", t) == "ENOSPC");
    CHECK(world.dom1.write("/d/b", "1", t) == "OK");
    CHECK(world.dom1.end(t) == "OK");
    CHECK(world.dom1.directory("/d") == "a b");
    const auto u = world.dom1.start();
    CHECK(world.dom1.write("/d/c", "1", u) == "ENOSPC");
    CHECK(world.dom1.rm("/d/a", u) == "OK");
    CHECK(world.dom1.write("/d/c", "1", u) == "OK"); // what it removes first is given back
    CHECK(world.dom1.end(u) == "OK");
    CHECK(world.dom1.directory("/d") == "b c");
    CHECK(world.store.nodes_owned_by(Domid(1)) == 3);
}

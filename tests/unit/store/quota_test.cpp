// SPDX-License-Identifier: Apache-2.0
// What one guest can make the daemon keep.
#include "store_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::store;
using namespace vmm::store::test;

namespace
{

World& with_home(World& world)
{
    REQUIRE(world.dom0.mkdir("/home") == "OK");
    REQUIRE(world.dom0.set_perms("/home", "n1") == "OK");
    return world;
}

} // namespace

TEST_CASE("nodes owned are limited, given back when removed, and do not limit dom0")
{
    Quotas quotas;
    quotas.nodes = 5; // /home is one
    World world(quotas);
    with_home(world);
    CHECK(world.dom1.write("/home/a/b/c/d", "x") == "OK");
    CHECK(world.dom1.write("/home/e", "x") == "ENOSPC");
    CHECK(world.dom1.mkdir("/home/e") == "ENOSPC");
    CHECK(world.dom1.read("/home/e") == "ENOENT");
    CHECK(world.dom1.write("/home/a", "changed") == "OK");
    CHECK(world.dom1.rm("/home/a/b") == "OK");
    CHECK(world.dom1.write("/home/e/f/g", "x") == "OK");
    CHECK(world.dom1.write("/home/h", "x") == "ENOSPC");
    CHECK(world.dom0.write("/home/by-dom0/x/y", "x") == "OK"); // owned by 1 through inheritance
    CHECK(world.store.nodes_owned_by(Domid(1)) == 8);
    CHECK(world.dom0.set_perms("/home/e/f", "n2") == "OK");
    CHECK(world.store.nodes_owned_by(Domid(1)) == 7);
    CHECK(world.store.nodes_owned_by(Domid(2)) == 1);
}

TEST_CASE("a creation that would pass the limit half way creates nothing")
{
    Quotas quotas;
    quotas.nodes = 3;
    World world(quotas);
    with_home(world);
    CHECK(world.dom1.write("/home/a/b/c", "x") == "ENOSPC");
    CHECK(world.dom1.directory("/home") == "");
    CHECK(world.store.nodes_owned_by(Domid(1)) == 1);
}

TEST_CASE("nodes created in several transactions count together")
{
    Quotas quotas;
    quotas.nodes = 4;
    World world(quotas);
    with_home(world);
    const auto one = world.dom1.start();
    const auto two = world.dom1.start();
    CHECK(world.dom1.write("/home/a/b", "x", one) == "OK");
    CHECK(world.dom1.write("/home/c/d", "x", two) == "OK");
    CHECK(world.dom1.write("/home/c/e/f", "x", two) == "ENOSPC");
    CHECK(world.dom1.end(one) == "OK");
    CHECK(world.dom1.end(two) == "ENOSPC");
    CHECK(world.dom1.directory("/home") == "a");
}

TEST_CASE("the size of one node is limited")
{
    World world;
    with_home(world);
    CHECK(world.dom1.write("/home/a", std::string(2000, 'x')) == "OK");
    CHECK(world.dom1.write("/home/a", std::string(2100, 'x')) == "ENOSPC");
    CHECK(world.dom1.write("/home/b", std::string(2100, 'x')) == "ENOSPC");
    CHECK(world.dom1.read("/home/b") == "ENOENT");
    CHECK(world.dom0.write("/home/a", std::string(4000, 'x')) == "OK");
    CHECK(world.dom1.write("/home/a", std::string(3000, 'x')) == "OK"); // smaller than it is
    for (int i = 0; i < 9; ++i) {
        CHECK(world.dom1.mkdir("/home/dir/" + std::string(200, 'n') + std::to_string(i)) == "OK");
    }
    CHECK(world.dom1.mkdir("/home/dir/" + std::string(200, 'n') + "x") == "ENOSPC"); // its list of children
}

TEST_CASE("permission entries are limited")
{
    World world;
    with_home(world);
    CHECK(world.dom1.set_perms("/home", "n1 r2 r3 r4 r5") == "OK");
    CHECK(world.dom1.set_perms("/home", "n1 r2 r3 r4 r5 r6") == "ENOSPC");
    CHECK(world.dom0.set_perms("/home", "n1 r2 r3 r4 r5 r6") == "OK");
}

TEST_CASE("watches are limited")
{
    World world;
    for (int i = 0; i < 128; ++i) {
        CHECK(world.dom1.watch("/w", std::to_string(i)) == "OK");
        CHECK(world.dom0.watch("/w", std::to_string(i)) == "OK");
    }
    CHECK(world.dom1.watch("/w", "more") == "E2BIG");
    CHECK(world.dom0.watch("/w", "more") == "OK");
    CHECK(world.dom1.unwatch("/w", "7") == "OK");
    CHECK(world.dom1.watch("/w", "more") == "OK");
}

TEST_CASE("open transactions are limited")
{
    World world;
    std::uint32_t last = 0;
    for (int i = 0; i < 10; ++i) {
        last = world.dom1.start();
    }
    CHECK(world.dom1.send(XS_TRANSACTION_START, Client::z("")) == "ENOSPC");
    CHECK(world.dom1.end(last, false) == "OK");
    CHECK(world.dom1.start() != 0);
}

TEST_CASE("what one transaction touches is limited in number and in bytes")
{
    Quotas quotas;
    quotas.transaction_nodes = 10;
    World world(quotas);
    with_home(world);
    const auto t = world.dom1.start();
    for (int i = 0; i < 10; ++i) {
        CHECK(world.dom1.read("/home/" + std::to_string(i), t) == "ENOENT");
    }
    CHECK(world.dom1.read("/home/more", t) == "ENOSPC");
    CHECK(world.dom1.end(t) == "OK");

    quotas                   = {};
    quotas.transaction_bytes = 16 * 1024;
    World small(quotas);
    with_home(small);
    const auto u = small.dom1.start();
    int accepted = 0;
    while (accepted < 100 && small.dom1.write("/home/x", std::string(2000, 'x'), u) == "OK") {
        ++accepted;
    }
    CHECK(accepted > 3);
    CHECK(accepted < 10);
}

TEST_CASE("a guest's forgotten transaction does not keep old nodes for ever")
{
    Quotas quotas;
    quotas.snapshot_bytes = 100 * 1024;
    World world(quotas);
    with_home(world);
    const auto forgotten  = world.dom1.start();
    const auto privileged = world.dom0.start();
    REQUIRE(world.dom1.write("/home/x", "1", forgotten) == "OK");
    for (int i = 0; i < 200; ++i) {
        REQUIRE(world.dom0.write("/big", std::string(2000, 'x')) == "OK");
        REQUIRE(world.dom0.rm("/big") == "OK");
    }
    CHECK(world.dom1.read("/home/x", forgotten) == "ENOENT"); // it is on the nodes as they are
    CHECK(world.dom1.end(forgotten) == "EAGAIN");
    CHECK(world.dom0.read("/home", privileged) == "");
    CHECK(world.dom0.end(privileged) == "OK");
    const auto fresh = world.dom1.start();
    CHECK(world.dom1.write("/home/x", "1", fresh) == "OK");
    CHECK(world.dom1.end(fresh) == "OK");
}

TEST_CASE("a guest that makes much of its own old costs another's transaction no more than a second attempt")
{
    Quotas quotas;
    quotas.snapshot_bytes = 100 * 1024;
    World world(quotas);
    with_home(world);
    REQUIRE(world.dom0.mkdir("/data") == "OK");
    REQUIRE(world.dom0.set_perms("/data", "n2") == "OK");
    for (int i = 0; i < 500; ++i) {
        REQUIRE(world.dom2.mkdir("/data/" + std::to_string(i)) == "OK");
    }
    const auto victim    = world.dom1.start();
    const auto ever_more = [&] {
        for (int i = 0; i < 5; ++i) {
            const auto cycle = world.dom2.start();
            REQUIRE(world.dom2.write("/data/0", "x") == "OK");
            REQUIRE(world.dom2.end(cycle, false) == "OK");
        }
    };
    for (int i = 0; i < 3; ++i) { // as a frontend, which takes any error but one at the end for the device's
        ever_more();
        CHECK(world.dom1.write("/home/a/b" + std::to_string(i), "x", victim) == "OK");
        CHECK(world.dom1.read("/home/a/b" + std::to_string(i), victim) == "x");
        CHECK(world.dom1.directory("/data", victim) == "EACCES");
    }
    CHECK(world.dom1.end(victim) == "EAGAIN");
    CHECK(world.dom1.read("/home/a") == "ENOENT");
    const auto again = world.dom1.start();
    CHECK(world.dom1.write("/home/a", "x", again) == "OK");
    CHECK(world.dom1.end(again) == "OK");
}

// SPDX-License-Identifier: Apache-2.0
#include "store_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::store;
using namespace vmm::store::test;

TEST_CASE("permissions as text")
{
    CHECK(*parse_permission("n0") == Permission{Domid(0), Access::none});
    CHECK(*parse_permission("r1") == Permission{Domid(1), Access::read});
    CHECK(*parse_permission("w65535") == Permission{Domid(65535), Access::write});
    CHECK(*parse_permission("b12") == Permission{Domid(12), Access::both});
    for (const std::string_view bad : {"", "r", "x1", "r-1", "r65536", "1", "r1x", "R1"}) {
        CHECK_FALSE(parse_permission(bad));
    }
    CHECK(to_string(Permission{Domid(12), Access::both}) == "b12");
    CHECK(to_string(Permission{Domid(0), Access::none}) == "n0");
}

TEST_CASE("owner, named domain and everyone else")
{
    const Permissions permissions = {
        {Domid(1), Access::read}, {Domid(2), Access::write}, {Domid(3), Access::none}};
    const auto rights = [&](unsigned domid) {
        const Caller caller{Domid(domid)};
        return std::string(may(caller, permissions, Access::read) ? "r" : "") +
               (may(caller, permissions, Access::write) ? "w" : "") +
               (is_owner(caller, permissions) ? "o" : "");
    };
    CHECK(rights(0) == "rwo");
    CHECK(rights(1) == "rwo");
    CHECK(rights(2) == "w"); // its own entry counts, not the default
    CHECK(rights(3) == "");
    CHECK(rights(4) == "r");
}

TEST_CASE("a domain has the rights of its target as well")
{
    const Permissions permissions = {{Domid(5), Access::none}, {Domid(6), Access::read}};
    CHECK(is_owner(Caller{Domid(9), Domid(5)}, permissions));
    CHECK(may(Caller{Domid(9), Domid(6)}, permissions, Access::read));
    CHECK_FALSE(may(Caller{Domid(9), Domid(7)}, permissions, Access::read));
}

TEST_CASE("a new node inherits its parent's permissions and belongs to the domain that makes it")
{
    World world;
    REQUIRE(world.dom0.write("/d", "") == "OK");
    REQUIRE(world.dom0.set_perms("/d", "n0 b1 r2") == "OK");
    REQUIRE(world.dom0.write("/d/zero", "x") == "OK");
    REQUIRE(world.dom1.write("/d/one/deep", "x") == "OK");
    CHECK(world.dom0.get_perms("/d/zero") == "n0 b1 r2");
    CHECK(world.dom0.get_perms("/d/one") == "n1 b1 r2");
    CHECK(world.dom0.get_perms("/d/one/deep") == "n1 b1 r2");
    CHECK(world.dom2.read("/d/one/deep") == "x");
    CHECK(world.dom2.write("/d/one/deep", "y") == "EACCES");
}

TEST_CASE("what may not be seen is not told apart from what is not there")
{
    World world;
    REQUIRE(world.dom0.write("/secret/node", "x") == "OK");
    CHECK(world.dom1.read("/secret/node") == "EACCES");
    CHECK(world.dom1.read("/secret/nothing") == "EACCES");
    CHECK(world.dom1.write("/secret/new", "x") == "EACCES");
    CHECK(world.dom1.rm("/secret/node") == "EACCES");
    CHECK(world.dom1.directory("/secret") == "EACCES");
    REQUIRE(world.dom0.set_perms("/secret", "r0") == "OK");
    CHECK(world.dom1.read("/secret/nothing") == "ENOENT");
    CHECK(world.dom1.write("/secret/nothing", "x") == "EACCES");
    CHECK(world.dom1.read("/secret/node") == "EACCES");
}

TEST_CASE("only the owner changes permissions, and only dom0 the owner")
{
    World world;
    REQUIRE(world.dom0.write("/n", "x") == "OK");
    REQUIRE(world.dom0.set_perms("/n", "n1 b2") == "OK");
    CHECK(world.dom2.set_perms("/n", "n1 b2 b3") == "EACCES");
    CHECK(world.dom1.set_perms("/n", "n2") == "EPERM");
    CHECK(world.dom1.set_perms("/n", "r1 w2") == "OK");
    CHECK(world.dom1.get_perms("/n") == "r1 w2");
    CHECK(world.dom0.set_perms("/n", "n2") == "OK");
    CHECK(world.dom1.get_perms("/n") == "EACCES");
    CHECK(world.dom0.set_perms("/n", "") == "EINVAL");
    CHECK(world.dom0.set_perms("/n", "q1") == "EINVAL");
    CHECK(world.dom0.set_perms("/missing", "n1") == "ENOENT");
    CHECK(world.dom0.send(XS_SET_PERMS, Client::z("/n")) == "EINVAL");
}

TEST_CASE("a domain that is gone leaves neither nodes nor rights")
{
    World world;
    REQUIRE(world.dom0.mkdir("/local/domain/1/data") == "OK");
    REQUIRE(world.dom0.set_perms("/local/domain/1/data", "n1 r2") == "OK");
    REQUIRE(world.dom1.write("data/mine/deep", "x") == "OK");
    REQUIRE(world.dom0.write("/kept", "x") == "OK");
    REQUIRE(world.dom0.set_perms("/kept", "n0 b1 r2") == "OK");
    REQUIRE(world.dom0.set_perms("@releaseDomain", "n0 r1") == "OK");
    REQUIRE(world.dom0.watch("/local/domain/1", "t") == "OK");
    world.dom0.events();

    world.store.forget_domain(Domid(1));
    CHECK(world.dom0.directory("/local/domain/1") == "");
    CHECK(world.dom0.get_perms("/kept") == "n0 r2");
    CHECK(world.dom0.get_perms("@releaseDomain") == "n0");
    CHECK(world.dom0.events() == std::vector<Event>{{"/local/domain/1/data", "t"}});
    CHECK(world.store.nodes_owned_by(Domid(1)) == 0);
}

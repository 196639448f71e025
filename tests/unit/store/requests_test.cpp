// SPDX-License-Identifier: Apache-2.0
#include "store_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::store;
using namespace vmm::store::test;

TEST_CASE("write, read, mkdir, directory, rm")
{
    World world;
    Client& c = world.dom0;
    CHECK(c.write("/a/b", "value") == "OK");
    CHECK(c.read("/a") == "");
    CHECK(c.read("/a/b") == "value");
    CHECK(c.write("/a/b", "") == "OK");
    CHECK(c.read("/a/b") == "");
    CHECK(c.send(XS_WRITE, std::string("/bin\0a\0b\0", 9)) == Client::z("OK"));
    CHECK(c.read("/bin") == std::string("a\0b\0", 4)); // the value is bytes
    CHECK(c.mkdir("/m/n") == "OK");
    CHECK(c.mkdir("/a/b") == "OK");
    CHECK(c.directory("/") == "a bin m");
    CHECK(c.directory("/m/n") == "");
    CHECK(c.rm("/a") == "OK");
    CHECK(c.read("/a/b") == "ENOENT");
    CHECK(c.rm("/a") == "OK");       // its parent exists
    CHECK(c.rm("/a/b") == "ENOENT"); // its parent does not
    CHECK(c.rm("/") == "EINVAL");
    CHECK(c.directory("/a") == "ENOENT");
}

TEST_CASE("a relative path is below the caller's own domain")
{
    World world;
    REQUIRE(world.dom0.write("x", "zero") == "OK");
    CHECK(world.dom0.read("/local/domain/0/x") == "zero");
    REQUIRE(world.dom0.write("/local/domain/1/x", "one") == "OK");
    REQUIRE(world.dom0.set_perms("/local/domain/1/x", "n1") == "OK");
    CHECK(world.dom1.read("x") == "one");
}

TEST_CASE("malformed payloads are EINVAL")
{
    World world;
    for (const std::uint32_t type : {XS_READ, XS_DIRECTORY, XS_MKDIR, XS_RM, XS_GET_PERMS}) {
        CHECK(world.dom0.send(type, "") == "EINVAL");
        CHECK(world.dom0.send(type, "/a") == "EINVAL");
        CHECK(world.dom0.send(type, std::string("/a\0b\0", 5)) == "EINVAL");
        CHECK(world.dom0.send(type, Client::z("/a//b")) == "EINVAL");
    }
    CHECK(world.dom0.send(XS_WRITE, "/a") == "EINVAL");
    CHECK(world.dom0.send(XS_WRITE, Client::z("")) == "EINVAL");
    CHECK(world.dom0.send(XS_DIRECTORY_PART, Client::z("/")) == "EINVAL");
    CHECK(world.dom0.send(XS_DIRECTORY_PART, Client::z("/") + Client::z("-1")) == "EINVAL");
    CHECK(world.dom0.send(XS_GET_DOMAIN_PATH, Client::z("x")) == "EINVAL");
    CHECK(world.dom0.send(XS_CONTROL, "") == "EINVAL");
}

TEST_CASE("unknown request types are ENOSYS")
{
    World world;
    for (const std::uint32_t type :
         {std::uint32_t{XS_WATCH_EVENT}, std::uint32_t{XS_ERROR}, 20U, std::uint32_t{XS_TYPE_COUNT}, 999U,
          std::uint32_t{XS_INVALID}, 0xffffffffU}) {
        Fake_domains domains;
        Session session(world.store, kDom0, [] {});
        handle_request(world.store, session, domains, Message{type, 5, 6, {}});
        CHECK(session.outbox().front() == serialise({XS_ERROR, 5, 6, Client::z("ENOSYS")}));
    }
}

TEST_CASE("an answer longer than a message is E2BIG, and comes in parts instead")
{
    World world;
    std::string expected;
    for (int i = 1000; i < 2000; ++i) {
        REQUIRE(world.dom0.write("/d/name-" + std::to_string(i), "") == "OK");
        expected += Client::z("name-" + std::to_string(i));
    }
    CHECK(world.dom0.directory("/d") == "E2BIG");
    std::string all;
    std::string generation;
    for (int parts = 1;; ++parts) {
        const std::string part =
            world.dom0.send(XS_DIRECTORY_PART, Client::z("/d") + Client::z(std::to_string(all.size())));
        REQUIRE(part.size() <= kPayloadMax);
        const std::size_t end = part.find('\0') + 1;
        CHECK((generation.empty() || generation == part.substr(0, end)));
        generation = part.substr(0, end);
        REQUIRE(part.back() == '\0');
        const bool last = part.size() == end + 1 || part[part.size() - 2] == '\0';
        all += part.substr(end, part.size() - end - (last ? 1 : 0));
        if (last) {
            CHECK(parts == 3);
            break;
        }
    }
    CHECK(all == expected);
    REQUIRE(world.dom0.write("/d/one-more", "") == "OK");
    const std::string part = world.dom0.send(XS_DIRECTORY_PART, Client::z("/d") + Client::z("0"));
    CHECK(part.substr(0, part.find('\0') + 1) != generation);
    const std::string past_the_end =
        world.dom0.send(XS_DIRECTORY_PART, Client::z("/d") + Client::z("999999"));
    CHECK(past_the_end.ends_with(std::string(2, '\0')));
}

TEST_CASE("introducing, releasing and asking for domains")
{
    World world;
    Client& c = world.dom0;
    CHECK(c.send(XS_INTRODUCE, Client::z("5") + Client::z("1044476") + Client::z("3")) == Client::z("OK"));
    CHECK(c.send(XS_INTRODUCE, Client::z("6") + Client::z("-1") + Client::z("4") + Client::z("ignored")) ==
          Client::z("OK"));
    CHECK(c.send(XS_IS_DOMAIN_INTRODUCED, Client::z("5")) == Client::z("T"));
    CHECK(c.send(XS_IS_DOMAIN_INTRODUCED, Client::z("9")) == Client::z("F"));
    CHECK(c.send(XS_IS_DOMAIN_INTRODUCED, Client::z("32752")) == Client::z("T")); // DOMID_SELF
    CHECK(c.send(XS_SET_TARGET, Client::z("6") + Client::z("5")) == Client::z("OK"));
    CHECK(c.send(XS_SET_TARGET, Client::z("6") + Client::z("9")) == "ENOENT");
    CHECK(c.send(XS_RESUME, Client::z("5")) == Client::z("OK"));
    CHECK(c.send(XS_RELEASE, Client::z("5")) == Client::z("OK"));
    CHECK(c.send(XS_RELEASE, Client::z("5")) == "ENOENT");
    CHECK(c.send(XS_RELEASE, Client::z("0")) == "EINVAL");
    CHECK(c.send(XS_RESUME, Client::z("0")) == "EINVAL");
    CHECK(c.send(XS_GET_DOMAIN_PATH, Client::z("17")) == Client::z("/local/domain/17"));
    CHECK(world.domains.calls == std::vector<std::string>{"introduce 5 1044476 3",
                                                          "introduce 6 18446744073709551615 4", "target 6 5",
                                                          "resume 5", "release 5"});
    for (const auto& [domid, gfn, port] : std::vector<std::array<const char*, 3>>{{"0", "1", "1"},
                                                                                  {"32752", "1", "1"},
                                                                                  {"65536", "1", "1"},
                                                                                  {"x", "1", "1"},
                                                                                  {"5", "x", "1"},
                                                                                  {"5", "1", "0"},
                                                                                  {"5", "1", "x"}}) {
        CHECK(c.send(XS_INTRODUCE, Client::z(domid) + Client::z(gfn) + Client::z(port)) == "EINVAL");
    }
    CHECK(c.send(XS_INTRODUCE, Client::z("5") + Client::z("1")) == "EINVAL");
}

TEST_CASE("a guest may not manage domains or control the store")
{
    World world;
    world.domains.known = {Domid(1), Domid(2)};
    CHECK(world.dom1.send(XS_INTRODUCE, Client::z("2") + Client::z("1") + Client::z("1")) == "EACCES");
    for (const std::uint32_t type : {XS_RELEASE, XS_RESUME, XS_IS_DOMAIN_INTRODUCED, XS_CONTROL}) {
        CHECK(world.dom1.send(type, Client::z("2")) == "EACCES");
    }
    CHECK(world.dom1.send(XS_SET_TARGET, Client::z("1") + Client::z("2")) == "EACCES");
    CHECK(world.dom1.send(XS_GET_DOMAIN_PATH, Client::z("2")) == Client::z("/local/domain/2"));
    CHECK(world.domains.calls.empty());
}

TEST_CASE("control commands")
{
    World world;
    CHECK(world.dom0.send(XS_CONTROL, Client::z("help")).find("quota") != std::string::npos);
    CHECK(world.dom0.send(XS_CONTROL, Client::z("quota")).find("1000") != std::string::npos);
    REQUIRE(world.dom0.write("/n", "") == "OK");
    REQUIRE(world.dom0.set_perms("/n", "n4") == "OK");
    CHECK(world.dom0.send(XS_CONTROL, Client::z("quota") + Client::z("4")).find(": 1\n") !=
          std::string::npos);
    CHECK(world.dom0.send(XS_CONTROL, Client::z("quota") + Client::z("x")) == "EINVAL");
    CHECK(world.dom0.send(XS_CONTROL, Client::z("live-update")) == "EINVAL");
}

TEST_CASE("a domain acts on nodes of its target")
{
    World world;
    REQUIRE(world.dom0.write("/n", "x") == "OK");
    REQUIRE(world.dom0.set_perms("/n", "n2") == "OK");
    CHECK(world.dom1.read("/n") == "EACCES");
    world.dom1.session().set_target(Domid(2));
    CHECK(world.dom1.write("/n", "y") == "OK");
    world.dom1.session().set_target(std::nullopt);
    CHECK(world.dom1.read("/n") == "EACCES");
}

// SPDX-License-Identifier: Apache-2.0
// A domain is of another generation whenever it goes on from an earlier state or as a copy, and only then.
#include "two_hosts.hpp"

#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/config/generation_id.hpp"

#include <filesystem>
#include <set>

using namespace vmm;
using namespace vmm::test;

namespace
{

const Json kWanted{{"ms_vm_genid", "generate"}};

std::string path_of(Domid id) { return domain_path(id) + "/platform/generation-id"; }

std::string generation_of(Daemon_fixture& daemon, Domid id)
{
    const auto text = daemon.node(path_of(id));
    CHECK(config::Generation_id::parse(text).has_value());
    return text;
}

// An operation on a domain, or a file, that ends with a domain.
Domid domid_after(const Answer& answer)
{
    INFO((answer ? "" : answer.error().message));
    REQUIRE(answer);
    return Domid{answer->at("domid").get<std::uint16_t>()};
}

Answer with_suspension(Daemon_fixture& daemon, Domid id, const std::string& op, const Json& args)
{
    test::Pending pending(daemon, op, args);
    const auto node = domain_path(id) + "/control/shutdown";
    daemon.run_until([&] { return daemon.node(node) == "suspend"; });
    daemon.store->write(node, "").value();
    daemon.guest_ends(id, Shutdown_reason::suspend);
    return pending.finish(daemon);
}

Answer forked(Daemon_fixture& daemon, Domid parent, const std::string& name,
              const Json& more = Json::object())
{
    auto config = daemon.supervisor->domains().find(parent)->config;
    config.name = name;
    Json json   = config::to_json(config);
    json.update(more);
    return with_suspension(daemon, parent, "fork", {{"domain", to_string(parent)}, {"config", json}});
}

} // namespace

TEST_CASE("a domain is told of its generation if that is wanted, and cannot change what it is told")
{
    Daemon_fixture daemon;
    const Domid a = daemon.create("a", kWanted);
    const Domid b = daemon.create("b", kWanted);
    CHECK(generation_of(daemon, a) != generation_of(daemon, b));
    for (const auto& path : {path_of(a), domain_path(a) + "/platform"}) {
        CHECK(daemon.store->permissions(path).value() ==
              store::Permissions{{kDom0, store::Access::none}, {a, store::Access::read}});
    }
    const Domid plain = daemon.create("plain");
    CHECK(daemon.node(domain_path(plain) + "/platform") == "(absent)");
    CHECK(daemon.node(path_of(daemon.create("none", {{"ms_vm_genid", "none"}}))) == "(absent)");
}

TEST_CASE("it is of the same generation after a pause, a reboot and whatever becomes of vmmd")
{
    Daemon_fixture daemon;
    Domid id            = daemon.create("a", kWanted);
    const auto original = generation_of(daemon, id);
    SECTION("a pause")
    {
        REQUIRE(daemon.perform("pause", {{"domain", "a"}}));
        REQUIRE(daemon.perform("unpause", {{"domain", "a"}}));
    }
    SECTION("another vmmd") { daemon.restart(); }
    SECTION("another vmmd that has lost the store")
    {
        daemon.restart([&] { std::filesystem::remove(daemon.directory + "/store.journal"); });
    }
    SECTION("a reboot, also if vmmd ends on the way")
    {
        const bool killed = GENERATE(false, true);
        daemon.guest_ends(id, Shutdown_reason::reboot);
        if (killed) {
            daemon.restart();
        }
        daemon.run_until([&] {
            const Domain* a = daemon.supervisor->domains().find_name("a");
            return a != nullptr && a->id != id;
        });
        id = daemon.supervisor->domains().find_name("a")->id;
    }
    CHECK(generation_of(daemon, id) == original);
}

TEST_CASE("whoever is restored is of another generation each time; the original of a checkpoint is not")
{
    Daemon_fixture daemon;
    const std::string path = daemon.directory + "/a.save";
    const Domid id         = daemon.create("a", kWanted);
    std::set<std::string> seen{generation_of(daemon, id)};
    REQUIRE(with_suspension(daemon, id, "save", {{"domain", "a"}, {"path", path}, {"after", "run"}}));
    CHECK(seen.contains(generation_of(daemon, id)));
    for (int i = 0; i < 2; ++i) {
        REQUIRE(daemon.perform("destroy", {{"domain", "a"}}));
        const Domid now = domid_after(daemon.perform("restore", {{"path", path}}));
        CHECK(seen.insert(generation_of(daemon, now)).second);
    }
}

TEST_CASE("a fork is of another generation, its parent of the same")
{
    Daemon_fixture daemon;
    const Domid a       = daemon.create("a", kWanted);
    const auto original = generation_of(daemon, a);
    const Domid b       = domid_after(forked(daemon, a, "b"));
    const Domid c       = domid_after(forked(daemon, b, "c"));
    CHECK(generation_of(daemon, a) == original);
    CHECK(generation_of(daemon, b) != original);
    CHECK(generation_of(daemon, c) != original);
    CHECK(generation_of(daemon, c) != generation_of(daemon, b));
    CHECK(daemon.node(path_of(domid_after(forked(daemon, a, "d", {{"ms_vm_genid", "none"}})))) == "(absent)");

    const Domid plain = daemon.create("plain");
    generation_of(daemon, domid_after(forked(daemon, plain, "e", kWanted)));
    CHECK(daemon.node(path_of(plain)) == "(absent)");
}

TEST_CASE("a domain that is moved is of the same generation there")
{
    Two_hosts hosts(kWanted);
    const auto original = generation_of(hosts.source, hosts.id);
    hosts.begin();
    hosts.guest_suspends();
    hosts.finish();
    const Domid there = hosts.check_runs_there();
    CHECK(generation_of(hosts.target, there) == original);
    hosts.target.restart([&] { std::filesystem::remove(hosts.target.directory + "/store.journal"); });
    CHECK(generation_of(hosts.target, there) == original);
}

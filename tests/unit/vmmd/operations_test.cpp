// SPDX-License-Identifier: Apache-2.0
// The operations of the control socket on domains that exist, and their complaints.
#include "daemon_fixture.hpp"
#include "fake_kernel.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::test;
using control::Code;
using control::Json;

namespace
{

Code code_of(const Answer& answer)
{
    REQUIRE_FALSE(answer);
    CHECK_FALSE(answer.error().message.empty());
    CHECK(answer.error().message.find('\n') == std::string::npos);
    return answer.error().code;
}

} // namespace

TEST_CASE("a domain is found by name, id and UUID")
{
    Daemon_fixture daemon;
    const Domid id         = daemon.create("demo");
    const std::string uuid = daemon.supervisor->domains().find(id)->uuid.to_string();
    for (const std::string& wanted : {std::string("demo"), std::string("1"), uuid}) {
        CHECK(daemon.perform("domid", {{"domain", wanted}})->at("domid") == 1);
        CHECK(daemon.perform("domname", {{"domain", wanted}})->at("name") == "demo");
    }
    CHECK(daemon.perform("domname", {{"domain", "0"}})->at("name") == "Domain-0");
    CHECK(code_of(daemon.perform("domid", {{"domain", "nobody"}})) == Code::no_domain);
    CHECK(code_of(daemon.perform("domid", {{"domain", "77"}})) == Code::no_domain);
    CHECK(code_of(daemon.perform("domid", {{"domain", 1}})) == Code::bad_request);
    CHECK(code_of(daemon.perform("domid")) == Code::bad_request);
}

TEST_CASE("unknown operations and bad arguments")
{
    Daemon_fixture daemon;
    CHECK(code_of(daemon.perform("fly")) == Code::unknown_op);
    CHECK(code_of(daemon.perform("create")) == Code::bad_request);
    CHECK(code_of(daemon.perform("create", {{"config", 3}})) == Code::bad_config);
    CHECK(code_of(daemon.perform("create", {{"config", Json::object()}, {"paused", "no"}})) ==
          Code::bad_request);
    CHECK(code_of(daemon.perform("list", {{"domains", 5}})) == Code::bad_request);
    CHECK(code_of(daemon.perform("list", {{"domains", {5}}})) == Code::bad_request);
    CHECK(code_of(daemon.perform("wait", {{"domid", -1}})) == Code::bad_request);
    CHECK(code_of(daemon.perform("wait", {{"domid", 99'999}})) == Code::bad_value);
}

namespace
{

// Devices whose every step succeeds at once, but for what the test forbids.
class Easy_class final : public device::Device_class
{
  public:
    explicit Easy_class(std::string type) : type_(std::move(type)) {}

    std::vector<std::string> specs; // of those that are plugged, in order
    std::string_view type() const override { return type_; }
    std::string describe(const Json&) const override { return "device"; }
    void prepare(device::Task task, std::function<void(Result<device::Prepared>)> done) override
    {
        const auto spec = task.spec.get<std::string>();
        if (spec.ends_with("/none")) {
            done(fail(Errc::not_found, "there is no /none"));
            return;
        }
        specs.push_back(spec);
        done(device::Prepared{{}, {{"mac", "00:16:3e:00:00:05"}}});
    }
    void connect(const device::Address&, device::Done done) override { done({}); }
    void release(const device::Address&, std::function<void()> done) override { done(); }
    Result<void> adopt(device::Task, const Json&) override { return {}; }

  private:
    std::string type_;
};

} // namespace

TEST_CASE("devices come and go at run time, and the config follows")
{
    Easy_class vifs("vif");
    Daemon_fixture daemon;
    daemon.devices->add(vifs);
    const Fake_kernel kernel(*daemon.store);
    const Domid id     = daemon.create("demo", {{"vif", {"mac=00:16:3e:00:00:04,nat"}}});
    const auto vifs_of = [&] { return daemon.supervisor->domains().find(id)->config.vifs; };
    const auto list    = [&] {
        return daemon.perform("device-list", {{"domain", "demo"}, {"type", "vif"}})->at("devices");
    };
    REQUIRE(list().size() == 1);
    const Json attach{{"domain", "demo"}, {"type", "vif"}, {"spec", "bridge=br0,mac=00:16:3e:00:00:05"}};
    const auto attached = daemon.perform("device-attach", attach);
    REQUIRE(attached);
    CHECK(attached->at("number") == 1);
    REQUIRE(list().size() == 2);
    CHECK(list()[1].at("nodes").at("mac") == "00:16:3e:00:00:05");
    CHECK(list()[1].at("backend_state") == "init-wait");
    REQUIRE(vifs_of().size() == 2);
    CHECK(vifs_of()[1].bridge == "br0");
    CHECK(code_of(daemon.perform("device-attach", attach)) == Code::bad_config); // that mac is taken

    const Json detach{{"domain", "demo"}, {"type", "vif"}, {"number", 1}, {"force", true}};
    CHECK(daemon.perform("device-detach", detach));
    CHECK(list().size() == 1);
    CHECK(vifs_of().size() == 1);
    CHECK(code_of(daemon.perform("device-detach", detach)) == Code::bad_value);

    CHECK(code_of(
              daemon.perform("device-attach", {{"domain", "demo"}, {"type", "vif"}, {"spec", "bridge="}})) ==
          Code::bad_config);
    CHECK(code_of(daemon.perform("device-attach", {{"domain", "demo"}, {"type", "vif"}})) ==
          Code::bad_request);
    CHECK(code_of(daemon.perform("device-attach", {{"domain", "demo"}, {"type", "unheard"}, {"spec", ""}})) ==
          Code::bad_config);
    CHECK(daemon.perform("destroy", {{"domain", "demo"}}));
    CHECK(daemon.store->list("/local/domain/0/backend/vif").value_or(std::vector<std::string>{}).empty());
}

TEST_CASE("a device that the guest lets go late is out of the config then")
{
    Easy_class vifs("vif");
    Daemon_fixture daemon;
    daemon.devices->add(vifs);
    Fake_kernel kernel(*daemon.store);
    kernel.guest_lets_go = false;
    const Domid id       = daemon.create("demo", {{"vif", {"mac=00:16:3e:00:00:04,nat"}}});
    const device::Address address{id, "vif", 0};
    const auto vifs_in_config = [&] { return daemon.supervisor->domains().find(id)->config.vifs.size(); };
    kernel.guest_connects(address);
    daemon.run_until([&] { return daemon.node(address.backend_path() + "/state") == "4"; });
    const auto asked = daemon.perform("device-detach", {{"domain", "demo"}, {"type", "vif"}, {"number", 0}});
    REQUIRE_FALSE(asked);
    CHECK(asked.error().message.find("the guest has not let it go") != std::string::npos);
    CHECK(vifs_in_config() == 1);
    kernel.guest_releases(address);
    daemon.run_until([&] { return !daemon.devices->has(address); });
    CHECK(vifs_in_config() == 0);
}

TEST_CASE("a drive stays when its medium goes, and only a medium makes a device of it")
{
    Easy_class vbds("vbd");
    Daemon_fixture daemon;
    daemon.devices->add(vbds);
    const Fake_kernel kernel(*daemon.store);
    const Domid id              = daemon.create("demo", {{"disk",
                                                          {{{"vdev", "xvda"}, {"target", "/a"}},
                                                           {{"vdev", "xvdb"}, {"cdrom", true}, {"access", "ro"}}}}});
    const auto target_in_config = [&](std::size_t index) {
        const auto& disks = daemon.supervisor->domains().find(id)->config.disks;
        return index < disks.size() ? disks[index].target : "(absent)";
    };
    const auto state_of = [&](std::size_t index) {
        const auto rows = daemon.perform("device-list", {{"domain", "demo"}, {"type", "vbd"}})->at("devices");
        return index < rows.size() ? rows[index].at("backend_state").get<std::string>() : "(absent)";
    };
    const auto drive  = [](const std::string& target) { return "vdev=xvdb, cdrom, target=" + target; };
    const auto change = [&](const std::string& spec) {
        return daemon.perform("device-change",
                              {{"domain", "demo"}, {"type", "vbd"}, {"spec", spec}, {"force", true}});
    };
    CHECK(vbds.specs == std::vector<std::string>{"vdev=xvda, format=raw, access=rw, target=/a"});
    CHECK(state_of(0) == "init-wait");
    CHECK(state_of(1) == "absent");

    REQUIRE(change(drive("/one.iso")));
    CHECK(state_of(1) == "init-wait");
    CHECK(target_in_config(1) == "/one.iso");
    CHECK(change(drive("/two.iso")).error().message == "the drive has a medium: eject it first");
    REQUIRE(change(drive("")));
    CHECK(state_of(1) == "absent");
    CHECK(target_in_config(1).empty());
    CHECK(change(drive("")));                                             // it is so
    CHECK(change(drive("/none")).error().message == "there is no /none"); // and stays empty
    CHECK(target_in_config(1).empty());
    for (const char* const no_drive : {"vdev=xvdc, cdrom, target=/a", "vdev=xvda, cdrom, target=/b",
                                       "vdev=xvdb, target=/b", "vdev=nodisk"}) {
        INFO(no_drive);
        CHECK(code_of(change(no_drive)) == Code::bad_config);
    }
    CHECK(code_of(daemon.perform("device-change", {{"domain", "demo"}, {"type", "vif"}, {"spec", "nat"}})) ==
          Code::bad_config);
    CHECK(code_of(daemon.perform("device-change", {{"domain", "demo"}, {"type", "vbd"}})) ==
          Code::bad_request);

    // Drives as such come and go too.
    const Json attach{{"domain", "demo"}, {"type", "vbd"}, {"spec", "vdev=xvdc, cdrom"}};
    REQUIRE(daemon.perform("device-attach", attach));
    CHECK(target_in_config(2).empty());
    CHECK(code_of(daemon.perform("device-attach", attach)) == Code::bad_config);
    const Json detach{{"domain", "demo"}, {"type", "vbd"}, {"number", 51744}};
    CHECK(daemon.perform("device-detach", detach));
    CHECK(target_in_config(2) == "(absent)");
    CHECK(code_of(daemon.perform("device-detach", detach)) == Code::bad_value);
    CHECK(vbds.specs.size() == 2);
}

TEST_CASE("list shows dom0, our domains and those of others")
{
    Daemon_fixture daemon;
    daemon.create("demo");
    const Domid foreign = *daemon.hypervisor.create({{}, 1, 0});
    daemon.store->write("/local/domain/2/name", "theirs").value();
    const Answer rows = daemon.perform("list", {{"long", true}});
    REQUIRE(rows);
    REQUIRE(rows->at("domains").size() == 3);
    CHECK(rows->at("domains")[0].at("name") == "Domain-0");
    CHECK(rows->at("domains")[0].at("state") == "r-----");
    CHECK_FALSE(rows->at("domains")[0].contains("config"));
    CHECK(rows->at("domains")[1].at("config").at("memory") == 32);
    CHECK(rows->at("domains")[1].at("console").get<std::string>().starts_with("/dev/pts/"));
    CHECK(rows->at("domains")[2].at("name") == "theirs");
    CHECK(rows->at("domains")[2].at("state") == "--p---");
    CHECK(daemon.perform("destroy", {{"domain", "theirs"}}));
    CHECK_FALSE(daemon.hypervisor.domains.contains(foreign));
}

TEST_CASE("pause, unpause, rename")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo");
    CHECK(daemon.perform("pause", {{"domain", "demo"}}));
    CHECK(daemon.hypervisor.domain(id).info.paused);
    CHECK(daemon.perform("unpause", {{"domain", "demo"}}));
    CHECK_FALSE(daemon.hypervisor.domain(id).info.paused);
    CHECK(daemon.perform("rename", {{"domain", "demo"}, {"name", "other"}})->at("name") == "other");
    CHECK(daemon.node("/local/domain/1/name") == "other");
    CHECK(daemon.state_text().find("\"other\"") != std::string::npos);
    CHECK(code_of(daemon.perform("rename", {{"domain", "other"}, {"name", "a b"}})) == Code::bad_value);
    CHECK(code_of(daemon.perform("rename", {{"domain", "other"}, {"name", "Domain-0"}})) == Code::exists);
    for (const char* op : {"pause", "destroy", "shutdown", "reboot", "console"}) {
        CHECK(code_of(daemon.perform(op, {{"domain", "0"}})) == Code::not_permitted);
    }
}

TEST_CASE("memory: the target within the limits, and the limits")
{
    Daemon_fixture daemon;
    const Domid id    = daemon.create("demo", {{"memory", 64}, {"maxmem", 128}});
    const auto& guest = daemon.hypervisor.domain(id);
    CHECK(guest.pages() >= 128 * 256); // until its balloon driver gives back
    CHECK(guest.pages() < 129 * 256);
    CHECK(daemon.node("/local/domain/1/memory/static-max") == "131072");
    CHECK(daemon.node("/local/domain/1/memory/target") == "65536");
    CHECK(daemon.perform("mem-set", {{"domain", "demo"}, {"kib", 48 * 1024}}));
    CHECK(daemon.node("/local/domain/1/memory/target") == "49152");
    CHECK(guest.info.max_memory_kib >= 48 * 1024);
    CHECK(guest.info.max_memory_kib < 52 * 1024);
    CHECK(code_of(daemon.perform("mem-set", {{"domain", "demo"}, {"kib", 200 * 1024}})) == Code::bad_value);
    CHECK(code_of(daemon.perform("mem-set", {{"domain", "demo"}, {"kib", 1024}})) == Code::bad_value);
    CHECK(code_of(daemon.perform("mem-max", {{"domain", "demo"}, {"kib", 32 * 1024}})) == Code::bad_value);
    CHECK(code_of(daemon.perform("mem-max", {{"domain", "demo"}, {"kib", 256 * 1024}})) == Code::bad_value);
    CHECK(daemon.perform("mem-max", {{"domain", "demo"}, {"kib", 100 * 1024}}));
    CHECK(code_of(daemon.perform("mem-set", {{"domain", "demo"}, {"kib", 101 * 1024}})) == Code::bad_value);
    CHECK(daemon.perform("mem-set", {{"domain", "demo"}, {"kib", 100 * 1024}}));
    CHECK(daemon.perform("list", {{"domains", {"demo"}}})->at("domains")[0].at("max_memory_kib") ==
          100 * 1024);
    CHECK(daemon.perform("mem-set", {{"domain", "0"}, {"kib", 900 * 1024}}));
    CHECK(daemon.node("/local/domain/0/memory/target") == "921600");
}

TEST_CASE("shutdown is answered when the guest has taken note")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo");
    std::optional<Answer> answer;
    const Client client{[&](Answer a) { answer = std::move(a); }, [] { return true; }};
    const std::string op = GENERATE("shutdown", "reboot");
    daemon.operations->perform(op, {{"domain", "demo"}}, client);
    daemon.run_for(std::chrono::milliseconds(100));
    CHECK_FALSE(answer.has_value());
    const std::string node = "/local/domain/1/control/shutdown";
    CHECK(daemon.node(node) == (op == "shutdown" ? "poweroff" : "reboot"));
    SECTION("by emptying the node")
    {
        daemon.store->write(node, "").value();
        daemon.run_until([&] { return answer.has_value(); });
        CHECK((*answer)->at("domid") == 1);
    }
    SECTION("by ending")
    {
        daemon.guest_ends(id, Shutdown_reason::poweroff);
        daemon.run_until([&] { return answer.has_value(); });
        CHECK(answer->has_value());
    }
}

TEST_CASE("shutdown of a domain that cannot answer")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo", {{"paused", true}, {"on_poweroff", "preserve"}});
    CHECK(code_of(daemon.perform("shutdown", {{"domain", "demo"}})) == Code::bad_state);
    daemon.guest_ends(id, Shutdown_reason::poweroff);
    CHECK(code_of(daemon.perform("shutdown", {{"domain", "demo"}})) == Code::bad_state);
    CHECK(code_of(daemon.perform("sysrq", {{"domain", "demo"}, {"key", "ab"}})) == Code::bad_value);
    CHECK(code_of(daemon.perform("sysrq", {{"domain", "demo"}, {"key", "/"}})) == Code::bad_value);
}

TEST_CASE("what is shown about the host and the vCPUs")
{
    Daemon_fixture daemon;
    daemon.create("demo", {{"vcpus", 2}, {"maxvcpus", 2}, {"cpus", {"0-1", "all"}}});
    const Answer info = daemon.perform("info");
    REQUIRE(info);
    CHECK(info->at("xen_version") == "4.17.fake");
    CHECK(info->at("nr_cpus") == 8);
    CHECK_FALSE(info->contains("xen_commandline")); // empty: left out
    const Answer vcpus = daemon.perform("vcpu-list", {{"domains", {"demo"}}});
    REQUIRE(vcpus);
    REQUIRE(vcpus->at("vcpus").size() == 2);
    CHECK(vcpus->at("vcpus")[0].at("affinity") == "0-1");
    CHECK(vcpus->at("vcpus")[1].at("affinity") == "all");
    CHECK(vcpus->at("vcpus")[0].at("soft_affinity") == "all");
    CHECK(*daemon.perform("cpu-policy") ==
          Json{{"vendor", "AuthenticAMD"}, {"model", ""}, {"cpuid", "4000000:1:0:0:0:20"}});
    const Domid narrow = daemon.create("narrow", {{"cpuid", "host,avx2=0"}});
    CHECK(daemon.perform("cpu-policy", {{"domain", to_string(narrow)}})->at("cpuid") == "4000000:1");
    REQUIRE(daemon.perform("destroy", {{"domain", "narrow"}}));
    CHECK(daemon.perform("cpu-policy", {{"domain", "nobody"}}).error().code == Code::no_domain);
    CHECK(daemon.perform("dmesg", {{"clear", true}})->at("text") == "(FAKE) hello\n");
    CHECK(daemon.perform("dmesg")->at("text") == "");
    const Answer uptime = daemon.perform("uptime");
    REQUIRE(uptime->at("domains").size() == 2);
    CHECK(uptime->at("domains")[1].at("uptime_s") <= 20);
}

TEST_CASE("shares are set and shown, and hold for the domain's restart")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo", {{"cpu_weight", 100}, {"cap", 30}, {"vcpus", 2}, {"maxvcpus", 2}});
    CHECK(daemon.hypervisor.domain(id).scheduling.weight == 100);
    const auto shares = [&](const std::string& name) {
        const Answer listed = daemon.perform("sched-list", {{"domains", {name}}});
        REQUIRE(listed);
        const Json& row = listed->at("domains").at(0);
        return std::pair(row.at("weight").get<unsigned>(), row.at("cap").get<unsigned>());
    };
    CHECK(shares("demo") == std::pair(100U, 30U));
    CHECK(shares("Domain-0") == std::pair(256U, 0U));
    CHECK(daemon.perform("sched-list")->at("domains").size() == 2);

    const Answer set = daemon.perform("sched-set", {{"domain", "demo"}, {"weight", 512}});
    REQUIRE(set);
    CHECK(*set == Json{{"domid", 1}, {"weight", 512}, {"cap", 30}});
    CHECK(daemon.perform("sched-set", {{"domain", "demo"}, {"cap", 200}}));
    CHECK(daemon.perform("sched-set", {{"domain", "Domain-0"}, {"weight", 1024}}));
    CHECK(shares("Domain-0") == std::pair(1024U, 0U));

    const auto refused = [&](const Json& what) {
        Json args      = what;
        args["domain"] = "demo";
        return daemon.perform("sched-set", args);
    };
    CHECK(code_of(refused({{"weight", 0}})) == Code::bad_value);
    CHECK(refused({{"weight", 65'536}}).error().message == "weight: 65536 is out of range, give 1 to 65535");
    CHECK(refused({{"cap", 201}}).error().message ==
          "cap: 201 is out of range, give 0 to 200 (percent of one CPU; 0 is no limit)");
    CHECK(code_of(refused({{"weight", "much"}})) == Code::bad_request);
    daemon.hypervisor.order_failure("set_scheduling", Errc::unsupported);
    CHECK(code_of(refused({{"weight", 5}})) == Code::unsupported);
    CHECK(shares("demo") == std::pair(512U, 200U));

    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return daemon.supervisor->domains().find(Domid{2}) != nullptr; });
    CHECK(shares("demo") == std::pair(512U, 200U));
}

TEST_CASE("vCPUs are pinned, and stay so over the domain's restart")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo", {{"vcpus", 2}, {"maxvcpus", 2}, {"cpus_soft", {"4-7", "4-7"}}});
    const auto pin = [&](Json args) {
        args["domain"] = "demo";
        return daemon.perform("vcpu-pin", args);
    };
    CHECK(daemon.hypervisor.domain(id).soft_affinity.at(1) == Cpu_bits{0xf0});
    CHECK(pin({{"vcpu", 1}, {"hard", "1-3"}}));
    CHECK(pin({{"soft", "2"}}));
    const auto check = [&] {
        const Answer rows = daemon.perform("vcpu-list", {{"domains", {"demo"}}});
        CHECK(rows->at("vcpus")[0].at("affinity") == "all");
        CHECK(rows->at("vcpus")[1].at("affinity") == "1-3");
        CHECK(rows->at("vcpus")[0].at("soft_affinity") == "2");
        CHECK(rows->at("vcpus")[1].at("soft_affinity") == "2");
    };
    check();
    CHECK(pin({{"vcpu", 2}, {"hard", "0"}}).error().message ==
          "\"demo\" has no vCPU 2: they are numbered from 0 to 1");
    CHECK(pin({{"vcpu", 0}, {"hard", "8-9"}}).error().message ==
          "this machine has no processor 8-9; it has 0 to 7");
    CHECK(code_of(pin({{"vcpu", 0}, {"hard", "3-1"}})) == Code::bad_value);
    CHECK(code_of(pin({{"vcpu", 0}})) == Code::bad_request);
    CHECK(code_of(pin({{"vcpu", "0"}, {"hard", "1"}})) == Code::bad_request);
    check();
    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return daemon.supervisor->domains().find(Domid{2}) != nullptr; });
    check();
    CHECK(daemon.perform("vcpu-pin", {{"domain", "Domain-0"}, {"hard", "0"}}));
}

TEST_CASE("a domain moves to CPUs of its own and back, and its weight outlives that")
{
    Daemon_fixture daemon;
    const Domid id =
        daemon.create("demo", {{"cpu_weight", 100}, {"vcpus", 2}, {"maxvcpus", 2}, {"cpus", {"0-1", "2"}}});
    const auto move = [&](const char* pool) {
        return daemon.perform("pool-move", {{"domain", "demo"}, {"pool", pool}});
    };
    REQUIRE(daemon.perform("pool-cpus", {{"pool", "Pool-0"}, {"cpus", "6-7"}}));
    REQUIRE(daemon.perform("pool-create", {{"name", "apart"}, {"cpus", "7"}, {"scheduler", "null"}}));
    CHECK(move("apart").error().message ==
          "the CPU pool \"apart\" has the null scheduler, where each vCPU has a CPU to itself: of 1 CPUs 0 "
          "are taken, and \"demo\" needs 2");
    REQUIRE(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "6"}, {"add", true}}));
    daemon.hypervisor.order_failure("set_scheduling", Errc::unsupported);
    REQUIRE(move("apart"));
    CHECK(move("apart")); // it is there
    CHECK(daemon.hypervisor.domain(id).affinity.empty());

    daemon.hypervisor.order_failure("set_scheduling", Errc::unsupported);
    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return daemon.supervisor->domains().find(Domid{2}) != nullptr; });
    auto& restarted = daemon.hypervisor.domain(Domid{2});
    CHECK(restarted.info.pool == 1);
    CHECK(restarted.affinity.empty());
    CHECK(restarted.scheduling.weight != 100);
    REQUIRE(move("Pool-0"));
    CHECK(restarted.info.pool == 0);
    CHECK(restarted.scheduling.weight == 100);
}

TEST_CASE("vCPUs are offered to a guest and taken back through the store")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo", {{"vcpus", 2}, {"maxvcpus", 4}});
    const auto set = [&](const char* name, unsigned count) {
        return daemon.perform("vcpu-set", {{"domain", name}, {"count", count}});
    };
    const auto offered = [&](const std::string& path) {
        std::string all;
        for (unsigned cpu = 0; cpu < 4; ++cpu) {
            all += daemon.node(path + "/cpu/" + std::to_string(cpu) + "/availability") + " ";
        }
        return all;
    };
    CHECK(offered("/local/domain/1") == "online online offline offline ");
    CHECK(*set("demo", 3) == Json{{"domid", 1}, {"vcpus", 3}});
    CHECK(offered("/local/domain/1") == "online online online offline ");
    CHECK(daemon.store->permissions("/local/domain/1/cpu/2/availability").value() ==
          store::Permissions{{kDom0, store::Access::none}, {id, store::Access::read}});
    CHECK(set("demo", 1));
    CHECK(offered("/local/domain/1") == "online offline offline offline ");
    CHECK(set("demo", 5).error().message ==
          "\"demo\" can have 1 to 4 vCPUs, not 5; maxvcpus= in its file sets the limit");
    CHECK(code_of(set("demo", 0)) == Code::bad_value);
    CHECK(code_of(daemon.perform("vcpu-set", {{"domain", "demo"}})) == Code::bad_request);
    CHECK(set("Domain-0", 1));
    CHECK(offered("/local/domain/0") == "online (absent) (absent) (absent) ");
    CHECK(set("Domain-0", 2).error().message.find("dom0_max_vcpus=") != std::string::npos);

    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return daemon.supervisor->domains().find(Domid{2}) != nullptr; });
    CHECK(offered("/local/domain/2") == "online offline offline offline ");
}

TEST_CASE("a processor of the machine goes out of use and comes back")
{
    Daemon_fixture daemon;
    const auto set = [&](unsigned cpu, bool online) {
        return daemon.perform("cpu-online", {{"cpu", cpu}, {"online", online}});
    };
    REQUIRE(set(7, false));
    CHECK(daemon.hypervisor.offline_cpus == std::set{7u});
    CHECK(set(7, false).error().message == "CPU 7 is offline already");
    REQUIRE(set(7, true));
    CHECK(set(7, true).error().message == "CPU 7 is online already");
    CHECK(daemon.hypervisor.offline_cpus.empty());

    CHECK(set(8, false).error().message == "this machine has no processor 8; it has 0 to 7");
    CHECK(code_of(set(0, false)) == Code::not_permitted);
    daemon.hypervisor.order_failure("set_cpu_online", Errc::busy, 1);
    CHECK(set(6, false).error().message.find("last one of a CPU pool") != std::string::npos);
}

TEST_CASE("CPU pools are made, filled, named, emptied and unmade")
{
    Daemon_fixture daemon;
    daemon.create("demo");
    const auto pools   = [&] { return daemon.perform("pool-list")->at("pools"); };
    const auto message = [](const Answer& answer) { return answer ? "" : answer.error().message; };
    CHECK(pools().dump() ==
          R"([{"id":0,"name":"Pool-0","cpus":[0,1,2,3,4,5,6,7],"scheduler":"credit2","domains":2}])");
    CHECK(message(daemon.perform("pool-create", {{"name", "apart"}, {"cpus", "6-7"}})) ==
          "CPU 6 is in a pool already: take it from there first, with xm cpupool-cpu-remove");
    REQUIRE(daemon.perform("pool-cpus", {{"pool", "0"}, {"cpus", "5-7"}}));
    CHECK(daemon.perform("pool-list")->at("free_cpus") == Json{5, 6, 7});

    daemon.hypervisor.order_failure("add_to_pool", Errc::io, 2);
    CHECK_FALSE(daemon.perform("pool-create", {{"name", "apart"}, {"cpus", "6-7"}}));
    CHECK(pools().size() == 1); // nothing of it is left
    CHECK(daemon.perform("pool-list")->at("free_cpus") == Json{5, 6, 7});

    const Answer made =
        daemon.perform("pool-create", {{"name", "apart"}, {"cpus", "6-7"}, {"scheduler", "null"}});
    REQUIRE(made);
    CHECK(*made == Json{{"id", 1}, {"name", "apart"}});
    CHECK(daemon.node("/local/pool/1/name") == "apart");
    CHECK(pools()[1].at("scheduler") == "null");
    CHECK(code_of(daemon.perform("pool-create", {{"name", "apart"}})) == Code::exists);
    CHECK(code_of(daemon.perform("pool-create", {{"name", "a b"}})) == Code::bad_value);
    CHECK(code_of(daemon.perform("pool-create", {{"name", "b"}, {"scheduler", "fast"}})) == Code::bad_value);
    CHECK(message(daemon.perform("pool-create", {{"name", "b"}, {"cpus", "8"}})) ==
          "this machine has no processor 8; it has 0 to 7");

    CHECK(daemon.perform("pool-move", {{"domain", "demo"}, {"pool", "apart"}})->at("pool") == "apart");
    CHECK(pools()[1].at("domains") == 1);
    CHECK(message(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "6-7"}})) ==
          "\"apart\" has domains, which need a CPU: leave it one");
    CHECK(message(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "0"}, {"add", true}})) ==
          "CPU 0 is in another pool: take it from there first");
    CHECK(message(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "6"}, {"add", true}})) ==
          "CPU 6 is in \"apart\" already");
    CHECK(message(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "0"}})) ==
          "CPU 0 is not in \"apart\"");
    CHECK(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "5"}, {"add", true}}));
    CHECK(pools()[1].at("cpus") == Json{5, 6, 7});
    CHECK(message(daemon.perform("pool-destroy", {{"pool", "apart"}})) ==
          "\"apart\" has 1 domains: move them away with xm cpupool-migrate");
    CHECK(code_of(daemon.perform("pool-move", {{"domain", "Domain-0"}, {"pool", "apart"}})) ==
          Code::not_permitted);
    CHECK(code_of(daemon.perform("pool-move", {{"domain", "demo"}, {"pool", "other"}})) == Code::bad_value);

    CHECK(daemon.perform("pool-move", {{"domain", "demo"}, {"pool", "Pool-0"}}));
    CHECK(daemon.perform("pool-rename", {{"pool", "apart"}, {"name", "alone"}}));
    CHECK(daemon.perform("pool-destroy", {{"pool", "alone"}}));
    CHECK(pools().size() == 1);
    CHECK(daemon.node("/local/pool/1/name") == "(absent)");
    CHECK(code_of(daemon.perform("pool-destroy", {{"pool", "Pool-0"}})) == Code::not_permitted);
}

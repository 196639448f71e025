// SPDX-License-Identifier: Apache-2.0
// The operations of the control socket on the devices of a domain.
#include "daemon_fixture.hpp"
#include "fake_kernel.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::test;
using control::Code;
using control::Json;

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

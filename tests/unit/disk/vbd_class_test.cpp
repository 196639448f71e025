// SPDX-License-Identifier: Apache-2.0
// From the text of a disk to what blkback is told, and everything given back at the end.
#include "disk_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>

using namespace vmm;
using namespace vmm::disk;
using namespace vmm::test;
using namespace std::chrono_literals;
using device::Address;
using device::Json;
using device::Nodes;
using device::Prepared;

namespace
{

constexpr unsigned kXvda = 51712;

struct World : Disk_fixture {
    World() : vbds(*loop, *this, setup()) {}

    Disk_setup setup() const { return {false, sysfs, 100ms, 20ms}; }
    // For the kernel.
    config::Disk disk(const std::string& text) const
    {
        config::Disk disk = Disk_fixture::disk(text);
        disk.backend      = config::Disk_backend::phy;
        return disk;
    }

    Result<Prepared> prepare(unsigned domain, const std::string& text)
    {
        const config::Disk wanted = disk(text);
        const Address address{Domid{static_cast<std::uint16_t>(domain)}, "vbd", wanted.number()};
        std::optional<Result<Prepared>> got;
        vbds.prepare({address, config::write_disk(wanted), [this](Json note) { noted = std::move(note); }},
                     [&](Result<Prepared> result) { got = std::move(result); });
        run_until([&] { return got.has_value(); });
        return *std::move(got);
    }
    std::string refusal(unsigned domain, const std::string& text)
    {
        const auto prepared = prepare(domain, text);
        return prepared ? "" : prepared.error().message;
    }
    Result<void> connect(const Address& address)
    {
        std::optional<Result<void>> got;
        vbds.connect(address, [&](Result<void> result) { got = std::move(result); });
        run_until([&] { return got.has_value(); });
        return *std::move(got);
    }
    void release(const Address& address)
    {
        bool done = false;
        vbds.release(address, [&] { done = true; });
        run_until([&] { return done; });
    }
    static Address at(unsigned domain, unsigned number = kXvda)
    {
        return {Domid{static_cast<std::uint16_t>(domain)}, "vbd", number};
    }

    Json noted;
    Vbd_class vbds;
};

std::string value(const Nodes& nodes, const std::string& name)
{
    const auto found = std::ranges::find(nodes, name, &Nodes::value_type::first);
    return found == nodes.end() ? "(absent)" : found->second;
}

} // namespace

TEST_CASE("a raw file is served from a loop device")
{
    World world;
    world.image("a.img");
    const auto prepared = world.prepare(3, "%/a.img,raw,xvda,w");
    REQUIRE(prepared);
    CHECK(prepared->backend_type.empty());
    CHECK(value(prepared->frontend, "virtual-device") == "51712");
    CHECK(value(prepared->frontend, "device-type") == "disk");
    CHECK(value(prepared->backend, "physical-device") == "7:0");
    CHECK(value(prepared->backend, "physical-device-path") == "/dev/loop0");
    CHECK(value(prepared->backend, "mode") == "w");
    CHECK(value(prepared->backend, "discard-enable") == "1");
    CHECK(value(prepared->backend, "removable") == "0");
    CHECK(value(prepared->backend, "params") == world.directory + "/a.img");
    REQUIRE(world.attached.size() == 1);
    CHECK_FALSE(world.attached[0].read_only);
    CHECK_FALSE(world.attached[0].direct); // a device could not reach the guest's pages
    CHECK(world.noted == Json{{"loop", 0}});

    SECTION("blkback opens it, and lets go before it is given back")
    {
        world.backend_opens(World::at(3));
        CHECK(world.connect(World::at(3)));
        bool released = false;
        world.vbds.release(World::at(3), [&] { released = true; });
        world.loop->run_once(1ms).value();
        CHECK_FALSE(released);
        world.backend_goes(World::at(3));
        world.loop_goes(0);
        world.run_until([&] { return released; });
    }
    SECTION("blkback does not open it")
    {
        const auto connected = world.connect(World::at(3));
        REQUIRE_FALSE(connected);
        CHECK(connected.error().message ==
              "disk xvda: xen-blkback could not open " + world.directory + "/a.img: dom0's dmesg says why");
        world.loop_goes(0);
        world.release(World::at(3));
    }
    SECTION("somebody else keeps the loop device")
    {
        world.release(World::at(3)); // it is waited for, and not for ever
    }
    CHECK(world.refusal(4, "%/a.img,raw,xvda,w").find("is disk xvda of domain") == std::string::npos);
}

TEST_CASE("with an IOMMU the page cache is left out")
{
    World world;
    world.image("a.img");
    auto setup                 = world.setup();
    setup.devices_reach_guests = true;
    Vbd_class vbds(*world.loop, world, setup);
    vbds.prepare({World::at(3), config::write_disk(world.disk("%/a.img,raw,xvda,w")), [](const Json&) {}},
                 [](const Result<Prepared>& prepared) { CHECK(prepared); });
    REQUIRE(world.attached.size() == 1);
    CHECK(world.attached[0].direct);
}

TEST_CASE("a target that changes its size is noticed, also by a successor")
{
    World world;
    const std::string path = world.image("a.img");
    REQUIRE(world.prepare(3, "%/a.img,raw,xvda,w"));
    const auto spec = config::write_disk(world.disk("%/a.img,raw,xvda,w"));
    Vbd_class successor(*world.loop, world, world.setup());
    REQUIRE(successor.adopt({World::at(3), spec, [](const Json&) {}}, world.noted));
    for (int turn = 0; turn < 10; ++turn) {
        world.loop->run_once(10ms).value();
    }
    CHECK(world.resized.empty());
    std::filesystem::resize_file(path, 2U << 20);
    world.run_until([&] { return world.resized.size() == 2; });
    CHECK(world.resized == std::vector{0U, 0U});
}

TEST_CASE("read-only disks and CD-ROMs say so on both sides")
{
    World world;
    world.image("a.img");
    const auto disk = world.prepare(3, "%/a.img,raw,xvda,r");
    REQUIRE(disk);
    CHECK(value(disk->backend, "mode") == "r");
    CHECK(value(disk->backend, "discard-enable") == "0");
    const auto cdrom = world.prepare(3, "%/a.img,raw,xvdb,cdrom");
    REQUIRE(cdrom);
    CHECK(value(cdrom->frontend, "device-type") == "disk");
    CHECK(value(cdrom->backend, "device-type") == "cdrom");
    CHECK(value(cdrom->backend, "removable") == "1");
    REQUIRE(world.attached.size() == 2);
    CHECK(world.attached[0].read_only);
    CHECK(world.attached[1].read_only);
    const auto shared = world.prepare(3, "%/a.img,raw,xvdc,w!");
    REQUIRE_FALSE(shared); // the others do not know that somebody writes
    world.image("b.img");
    const auto kept = world.prepare(3, "vdev=xvdd, no-discard, access=w!, target=%/b.img");
    REQUIRE(kept);
    CHECK(value(kept->backend, "mode") == "w!");
    CHECK(value(kept->backend, "discard-enable") == "0");
}

TEST_CASE("a refusal takes nothing")
{
    World world;
    world.image("a.img");
    CHECK(world.refusal(3, "%/none.img,raw,xvda,w").find("does not exist") != std::string::npos);
    CHECK(world.refusal(3, "vdev=xvda, cdrom").find("there is no medium") != std::string::npos);
    world.has_loop_devices = false;
    CHECK(world.refusal(3, "%/a.img,raw,xvda,w") == "disk xvda: no loop device is free");
    CHECK(world.attached.empty());
    world.has_loop_devices = true;
    CHECK(world.refusal(4, "%/a.img,raw,xvda,w").empty()); // nobody has a claim
    std::filesystem::create_symlink(world.directory + "/a.img", world.directory + "/soft.img");
    CHECK(world.refusal(3, "%/soft.img,raw,xvda,r").find("it is disk xvda of domain 4") != std::string::npos);
    CHECK(world.attached.size() == 1);
}

TEST_CASE("vmm-blkback serves what the kernel does not serve faster")
{
    World world;
    world.image("a.img");
    auto setup                 = world.setup();
    setup.programs.blkback     = "/none/vmm-blkback";
    setup.programs.nbd         = "/none/qemu-nbd";
    setup.programs.folder      = world.directory + "/run";
    setup.devices_reach_guests = GENERATE(false, true);
    Vbd_class vbds(*world.loop, world, setup);
    const auto refusal = [&](const std::string& text) {
        const config::Disk wanted = world.Disk_fixture::disk(text);
        std::optional<Result<Prepared>> got;
        vbds.prepare({World::at(3), config::write_disk(wanted), [](const Json&) {}},
                     [&](Result<Prepared> result) { got = std::move(result); });
        world.run_until([&] { return got.has_value(); });
        return *got ? "" : got->error().message;
    };
    CHECK_THAT(refusal("%/a.img,raw,xvda,w"), Catch::Contains("/none/vmm-blkback"));
    CHECK_THAT(refusal("%/a.img,qcow2,xvda,w"), Catch::Contains("/none/qemu-nbd"));
    CHECK_THAT(refusal("vdev=xvda, target=nbd://server/name"), Catch::Contains("/none/vmm-blkback"));
    CHECK(world.attached.empty());
    CHECK(refusal("%/a.img,raw,xvda,w,backendtype=phy").empty());
    CHECK(world.attached.size() == 1);
}

TEST_CASE("a successor knows what is in use, and gives it back")
{
    World world;
    world.image("a.img");
    REQUIRE(world.prepare(3, "%/a.img,raw,xvda,w"));
    world.backend_opens(World::at(3));
    Vbd_class successor(*world.loop, world, world.setup());
    const auto spec = config::write_disk(world.disk("%/a.img,raw,xvda,w"));
    REQUIRE(successor.adopt({World::at(3), spec, [](const Json&) {}}, world.noted));
    std::optional<Result<Prepared>> other;
    successor.prepare({World::at(4), spec, [](const Json&) {}},
                      [&](Result<Prepared> result) { other = std::move(result); });
    REQUIRE(other.has_value());
    CHECK(other->error().code == Errc::busy);
    bool released = false;
    successor.release(World::at(3), [&] { released = true; });
    world.backend_goes(World::at(3));
    SECTION("the loop device goes") { world.loop_goes(0); }
    SECTION("the image has gone meanwhile") { std::filesystem::remove(world.directory + "/a.img"); }
    world.run_until([&] { return released; });
}

TEST_CASE("a successor that finds the image gone says so")
{
    World world;
    const auto adopted = world.vbds.adopt(
        {World::at(3), config::write_disk(world.disk("%/none.img,raw,xvda,w")), [](const Json&) {}},
        Json{{"loop", 0}});
    REQUIRE_FALSE(adopted);
    CHECK(adopted.error().message.find("/none.img does not exist") != std::string::npos);
    world.release(World::at(3));
}

TEST_CASE("a raw file grows, and only that")
{
    World world;
    const std::string path  = world.image("a.img");
    const config::Disk disk = world.disk("%/a.img,raw,xvda,w");
    CHECK(grow_file(disk, 2U << 20));
    CHECK(std::filesystem::file_size(path) == 2U << 20);
    CHECK_THAT(grow_file(disk, 2U << 20).error().message, Catch::Contains("does not shrink"));
    CHECK_THAT(
        grow_file(world.Disk_fixture::disk("vdev=xvda, target=nbd://server/name"), 1U << 30).error().message,
        Catch::Contains("somebody else's"));
    CHECK_THAT(grow_file(world.disk("%/none.img,raw,xvda,w"), 1).error().message,
               Catch::Contains("does not exist"));
}

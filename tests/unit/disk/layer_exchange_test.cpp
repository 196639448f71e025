// SPDX-License-Identifier: Apache-2.0
// States of images frozen and gone back to, on real files with the real qemu-img, and each step failing.
#include "disk_fixture.hpp"
#include "toolstack/disk/layer_exchange.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

using namespace vmm;
using namespace vmm::disk;
using namespace vmm::test;
namespace fs = std::filesystem;

namespace
{

constexpr const char* kQemuImg = "/usr/bin/qemu-img";
constexpr std::time_t kWhen    = 1800000000; // 2027-01-15 08:00:00 UTC
constexpr const char* kStamp   = "20270115-080000";

struct World : Disk_fixture {
    World()
    {
        if (!fs::exists(kQemuImg)) {
            std::exit(77); // of qemu-utils
        }
        REQUIRE(run("qemu-img create -q -f qcow2 " + image() + " 8M"));
        write(image(), 0x11);
    }
    [[nodiscard]] std::string image() const { return directory + "/a.qcow2"; }
    [[nodiscard]] std::string base() const { return image() + ".frozen-" + kStamp; }
    [[nodiscard]] config::Disk disk() const { return Disk_fixture::disk("%/a.qcow2,qcow2,xvda,w"); }

    static bool run(const std::string& command)
    {
        return std::system((command + " >/dev/null 2>&1").c_str()) == 0; // NOLINT: of this test's own making
    }
    static void write(const std::string& path, int byte)
    {
        REQUIRE(run("qemu-io -f qcow2 -c 'write -P " + std::to_string(byte) + " 64k 64k' " + path));
    }
    static bool holds(const std::string& path, int byte)
    {
        return run("qemu-io -r -f qcow2 -c 'read -P " + std::to_string(byte) + " 64k 64k' " + path);
    }
    static bool is_sound(const std::string& path) { return run("qemu-img check -q -f qcow2 " + path); }

    [[nodiscard]] Layer_exchange freeze(std::time_t when = kWhen) const
    {
        auto exchange = Layer_exchange::freeze(kQemuImg, disk(), when);
        INFO((exchange ? "" : exchange.error().message));
        REQUIRE(exchange);
        return *std::move(exchange);
    }
    [[nodiscard]] std::size_t files() const
    {
        std::size_t count = 0;
        for (const auto& entry : fs::directory_iterator(directory)) {
            count += entry.is_regular_file() ? 1 : 0;
        }
        return count;
    }
    std::string script(const std::string& text) const
    {
        const std::string path = directory + "/script";
        std::ofstream(path) << "#!/bin/sh\n" << text << '\n';
        fs::permissions(path, fs::perms::owner_all);
        return path;
    }
};

std::string message(const Result<Layer_exchange>& exchange)
{
    REQUIRE_FALSE(exchange);
    return exchange.error().message;
}

} // namespace

TEST_CASE("what is frozen keeps its contents, and what is written goes to a new image of its name")
{
    World world;
    REQUIRE(::chmod(world.image().c_str(), 0640) == 0);
    auto exchange = world.freeze();
    CHECK(exchange.plan().behind == world.base());
    CHECK_FALSE(fs::exists(world.base()));
    REQUIRE(exchange.commit());
    REQUIRE(exchange.make_durable());
    CHECK(world.files() == 2);
    CHECK(World::holds(world.image(), 0x11));
    World::write(world.image(), 0x22);
    CHECK(World::holds(world.image(), 0x22));
    CHECK(World::holds(world.base(), 0x11));
    CHECK(World::is_sound(world.image()));
    CHECK((fs::status(world.image()).permissions() & fs::perms::all) == fs::perms{0640});
}

TEST_CASE("what was frozen is frozen again")
{
    World world;
    REQUIRE(world.freeze().commit());
    World::write(world.image(), 0x22);
    auto second = world.freeze(); // within the same second
    CHECK(second.plan().behind == world.base() + "-2");
    REQUIRE(second.commit());
    World::write(world.image(), 0x33);
    REQUIRE(world.freeze(kWhen + 1).commit());
    CHECK(World::holds(world.image(), 0x33));
    CHECK(World::holds(world.base() + "-2", 0x22));
    CHECK(World::holds(world.base(), 0x11));
}

TEST_CASE("a link is followed to where the image is")
{
    World world;
    fs::create_directory(world.directory + "/links");
    fs::create_symlink(world.image(), world.directory + "/links/b.qcow2");
    auto exchange =
        Layer_exchange::freeze(kQemuImg, world.Disk_fixture::disk("%/links/b.qcow2,qcow2,xvda,w"), kWhen);
    REQUIRE(exchange);
    REQUIRE(exchange->commit());
    CHECK(fs::exists(world.base()));
    CHECK(World::holds(world.directory + "/links/b.qcow2", 0x11));
}

TEST_CASE("whatever fails leaves the image and nothing else")
{
    World world;
    const auto check_as_it_was = [&](std::size_t files = 1) {
        CHECK(world.files() == files);
        CHECK(World::holds(world.image(), 0x11));
    };
    SECTION("nobody commits it")
    {
        static_cast<void>(world.freeze());
        check_as_it_was();
    }
    SECTION("there is no qemu-img")
    {
        CHECK_THAT(message(Layer_exchange::freeze("/none/qemu-img", world.disk(), kWhen)),
                   Catch::Contains("install qemu-utils"));
        check_as_it_was();
    }
    SECTION("qemu-img fails")
    {
        const auto img = world.script("echo 'qemu-img: No space left on device' >&2; exit 1");
        CHECK_THAT(message(Layer_exchange::freeze(img, world.disk(), kWhen)),
                   Catch::Equals("disk xvda: qemu-img says: No space left on device"));
        check_as_it_was(2);
    }
    SECTION("another file has come to have the name")
    {
        auto exchange = world.freeze();
        std::ofstream(world.base()) << "mine";
        const auto done = exchange.commit();
        REQUIRE_FALSE(done);
        CHECK(done.error().code == Errc::exists);
        CHECK(fs::file_size(world.base()) == 4);
    }
    SECTION("the new image has gone")
    {
        auto exchange = world.freeze();
        fs::remove(world.directory + "/.a.qcow2.vmm-new");
        CHECK_FALSE(exchange.commit());
        check_as_it_was();
    }
    SECTION("the image has gone")
    {
        auto exchange = world.freeze();
        fs::rename(world.image(), world.directory + "/moved");
        CHECK_FALSE(exchange.commit());
        fs::rename(world.directory + "/moved", world.image());
    }
    SECTION("an earlier one was cut off")
    {
        std::ofstream(world.directory + "/.a.qcow2.vmm-new") << "half";
        REQUIRE(world.freeze().commit());
        check_as_it_was(2);
    }
}

TEST_CASE("what cannot be frozen is refused with what to do")
{
    World world;
    world.Disk_fixture::image("raw.img");
    const auto refusal = [&](const std::string& text) {
        return message(Layer_exchange::freeze(kQemuImg, world.Disk_fixture::disk(text), kWhen));
    };
    CHECK_THAT(refusal("%/raw.img,raw,xvda,w"),
               Catch::Contains("/raw.img) is writable and raw") && Catch::Contains("qemu-img convert"));
    CHECK_THAT(refusal("vdev=xvda, target=nbd://server/name"), Catch::Contains("an NBD export"));
    CHECK_THAT(refusal("format=qcow2, vdev=xvda, key-file=/key, target=%/a.qcow2"),
               Catch::Contains("is encrypted"));
    CHECK_THAT(refusal("%/raw.img,qcow2,xvda,w"), Catch::Contains("is no file in qcow2 format"));
    CHECK_THAT(refusal("%/none,qcow2,xvda,w"), Catch::Contains("/none cannot be opened"));
}

TEST_CASE("an image goes back any number of times, and what it was is kept")
{
    World world;
    REQUIRE(world.freeze().commit());
    World::write(world.image(), 0x22);
    const auto back = [&] {
        return Layer_exchange::go_back(kQemuImg, "xvda", world.image(), world.base(), kWhen);
    };
    for (const std::string left : {".left-20270115-080000", ".left-20270115-080000-2"}) {
        auto exchange = back();
        REQUIRE(exchange);
        REQUIRE(exchange->commit());
        CHECK(exchange->plan().aside == world.image() + left);
        CHECK(World::holds(world.image(), 0x11));
        CHECK(World::holds(world.image() + left, 0x22));
        World::write(world.image(), 0x22);
    }
    SECTION("undone, it is as before")
    {
        const auto files = world.files();
        auto exchange    = back();
        REQUIRE(exchange);
        CHECK(exchange->undo()); // nothing to do yet
        REQUIRE(exchange->commit());
        REQUIRE(exchange->undo());
        CHECK(World::holds(world.image(), 0x22));
        CHECK(world.files() == files);
    }
    SECTION("into an empty place")
    {
        fs::remove(world.image());
        auto exchange = back();
        REQUIRE(exchange);
        REQUIRE(exchange->commit());
        CHECK(World::holds(world.image(), 0x11));
        REQUIRE(exchange->undo());
        CHECK_FALSE(fs::exists(world.image()));
    }
    SECTION("not without what was frozen")
    {
        fs::remove(world.base());
        CHECK_THAT(message(back()), Catch::Contains("is not there any more"));
        std::ofstream(world.base()) << "something else";
        CHECK_THAT(message(back()), Catch::Contains("is no file in qcow2 format"));
    }
}

TEST_CASE("two images over one frozen state do not see each other")
{
    World world;
    CHECK(branch_name("/srv/web.qcow2", "test") == "/srv/web-test.qcow2");
    CHECK(branch_name("/srv.d/web", "test") == "/srv.d/web-test");
    const std::string place = branch_name(world.image(), "b");
    auto exchange           = world.freeze();
    auto branch             = Layer_exchange::branch(kQemuImg, exchange, place);
    REQUIRE(branch);
    REQUIRE(exchange.commit());
    SECTION("each writes its own")
    {
        REQUIRE(branch->commit());
        World::write(world.image(), 0x22);
        World::write(place, 0x33);
        CHECK(World::holds(world.image(), 0x22));
        CHECK(World::holds(place, 0x33));
        CHECK(World::holds(world.base(), 0x11));
        REQUIRE(branch->undo());
        CHECK(world.files() == 2);
    }
    SECTION("nothing is written over")
    {
        std::ofstream(place) << "mine";
        CHECK(branch->commit().error().code == Errc::exists);
        CHECK(fs::file_size(place) == 4);
    }
}

// SPDX-License-Identifier: Apache-2.0
// What may be the target of a disk and what is said about what may not.
#include "disk_fixture.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

using namespace vmm;
using namespace vmm::disk;
using namespace vmm::test;

namespace
{

std::string refusal(const Disk_fixture& world, const std::string& text)
{
    const auto image = open_image(world.disk(text), world.sysfs);
    return image ? "" : image.error().message;
}

} // namespace

TEST_CASE("a file is opened as it is to be used, whatever it is called")
{
    Disk_fixture world;
    const std::string path = world.image("a.img", 12345);
    std::filesystem::create_symlink(path, world.directory + "/soft.img");
    std::filesystem::create_hard_link(path, world.directory + "/hard.img");
    const auto first = open_image(world.disk("%/a.img,raw,xvda,w"), world.sysfs).value();
    CHECK(first.bytes == 12345);
    CHECK((::fcntl(first.fd.get(), F_GETFL) & O_ACCMODE) == O_RDWR);
    for (const char* const name : {"soft", "hard"}) {
        const auto other =
            open_image(world.disk(std::string("%/") + name + ".img,raw,xvda,r"), world.sysfs).value();
        CHECK(other.identity == first.identity);
        CHECK((::fcntl(other.fd.get(), F_GETFL) & O_ACCMODE) == O_RDONLY);
        CHECK(identify(world.disk(std::string("%/") + name + ".img,raw,xvda,r")).value() == first.identity);
    }
}

TEST_CASE("what cannot be a disk is refused in words")
{
    Disk_fixture world;
    world.image("small.img", 511);
    const std::string in_front = "disk xvda: " + world.directory;
    CHECK(refusal(world, "%/none.img,raw,xvda,w") ==
          in_front + "/none.img does not exist: create it, or correct the target");
    CHECK(refusal(world, "%/small.img,raw,xvda,w") ==
          in_front +
              "/small.img has 511 bytes, and a disk at least one sector of 512: truncate -s 10G makes room");
    CHECK(refusal(world, "%,raw,xvda,r") == in_front + " is neither a file nor a block device");
    ::mkfifo((world.directory + "/fifo").c_str(), 0600);
    CHECK(refusal(world, "%/fifo,raw,xvda,w") == in_front + "/fifo is neither a file nor a block device");
    CHECK(refusal(world, "%/small.img/none,raw,xvda,w") ==
          in_front + "/small.img/none cannot be opened: Not a directory");
}

TEST_CASE("a file that dom0 shows by a loop device of its own is in use")
{
    Disk_fixture world;
    world.write_sysfs("/block/loop3/loop/backing_file", world.image("a.img"));
    world.write_sysfs("/block/loop3/ro", "0");
    CHECK(refusal(world, "%/a.img,raw,xvda,w").find("/dev/loop3 shows it") != std::string::npos);
    CHECK(refusal(world, "%/a.img,raw,xvda,r").find("/dev/loop3 shows it") != std::string::npos);
    CHECK(refusal(world, "%/a.img,raw,xvda,w!").empty());
    world.write_sysfs("/block/loop3/ro", "1");
    CHECK(refusal(world, "%/a.img,raw,xvda,w").find("/dev/loop3 shows it") != std::string::npos);
    CHECK(refusal(world, "%/a.img,raw,xvda,r").empty());
    world.image("b.img");
    CHECK(refusal(world, "%/b.img,raw,xvda,w").empty());
}

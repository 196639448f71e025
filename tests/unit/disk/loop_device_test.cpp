// SPDX-License-Identifier: Apache-2.0
// The kernel's loop driver: needs root and a kernel that has it; says so and is skipped elsewhere.
#include "disk_fixture.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <linux/fs.h>

using namespace vmm;
using namespace vmm::disk;
using namespace vmm::test;

TEST_CASE("a file becomes a device, for as long as somebody has it open")
{
    if (!Unique_fd(::open("/dev/loop-control", O_RDWR | O_CLOEXEC))) {
        std::perror("skipped: /dev/loop-control");
        std::exit(77);
    }
    Disk_fixture world;
    const std::string path = world.image("a.img", 1U << 20);
    const Unique_fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    Kernel_loop_driver driver;
    const bool read_only = GENERATE(false, true);
    auto loop            = driver.attach({file.get(), read_only, false});
    REQUIRE(loop);
    const Sysfs sysfs;
    CHECK(sysfs.loop_in_use(loop->index));
    std::uint64_t bytes = 0;
    REQUIRE(::ioctl(loop->fd.get(), BLKGETSIZE64, &bytes) == 0);
    CHECK(bytes == 1U << 20);
    Unique_fd other(::open(loop->path().c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
    REQUIRE(other);
    const std::string text(512, 'x');
    const bool written =
        ::pwrite(other.get(), text.data(), text.size(), 4096) == 512 && ::fsync(other.get()) == 0;
    CHECK(written != read_only);
    std::string back(512, ' ');
    REQUIRE(::pread(file.get(), back.data(), back.size(), 4096) == 512);
    CHECK((back == text) == !read_only);

    std::filesystem::resize_file(path, 2U << 20);
    REQUIRE(driver.take_over_size(loop->index));
    REQUIRE(::ioctl(other.get(), BLKGETSIZE64, &bytes) == 0);
    CHECK(bytes == 2U << 20);

    // In use: open_image knows.
    CHECK_FALSE(open_image(world.disk("%/a.img,raw,xvda,w"), sysfs));
    loop->fd.reset();
    CHECK(sysfs.loop_in_use(loop->index)); // `other` keeps it
    const unsigned index = loop->index;
    other.reset();
    world.run_until([&] { return !sysfs.loop_in_use(index); });
}

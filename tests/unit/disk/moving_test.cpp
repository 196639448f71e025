// SPDX-License-Identifier: Apache-2.0
// Which disks may move with their domain, and what becomes of their pages in dom0's cache.
#include "disk_fixture.hpp"
#include "toolstack/disk/moving.hpp"

#include <catch2/catch.hpp>

#include <filesystem>

using namespace vmm;
using namespace vmm::disk;
using namespace vmm::test;

TEST_CASE("disks that both hosts see alike may move")
{
    Disk_fixture world;
    world.image("a.img");
    const auto may = [&](const std::string& text, bool iommu) {
        return check_can_move(world.disk(text), iommu).has_value();
    };
    CHECK(may("%/a.img,raw,xvda,w", false));
    CHECK(may("vdev=xvda, backendtype=qdisk, target=%/a.img", false));
    CHECK(may("vdev=xvda, target=nbd://host/disk", false));
    CHECK(may("vdev=xvdc, cdrom, target=", false));
    CHECK_FALSE(may("%/a.img,qcow2,xvda,w", true));
}

TEST_CASE("a disk that is written through a loop device may not move")
{
    Disk_fixture world;
    world.image("a.img");
    const std::string text = "backendtype=phy, target=%/a.img";
    CHECK(check_can_move(world.disk("vdev=xvda, access=ro, " + text), false).has_value());
    for (const bool iommu : {false, true}) {
        const auto may = check_can_move(world.disk("vdev=xvda, " + text), iommu);
        REQUIRE_FALSE(may.has_value());
        CHECK(may.error().message == "disk xvda may go through this host's page cache, which the other host "
                                     "does not see: leave out backendtype=phy");
    }
}

TEST_CASE("what is written out and forgotten are the files of writable disks")
{
    Disk_fixture world;
    world.image("a.img");
    const std::vector<config::Disk> local{world.disk("%/a.img,raw,xvda,w")};
    CHECK(write_out(local).has_value());
    CHECK(forget_cached(local).has_value());

    const std::vector<config::Disk> passed_over{world.disk("vdev=xvda, target=nbd://host/disk"),
                                                world.disk("vdev=xvdb, access=ro, target=%/none.img"),
                                                world.disk("vdev=xvdc, cdrom, target=")};
    CHECK(write_out(passed_over).has_value());
    CHECK(forget_cached(passed_over).has_value());
}

TEST_CASE("what cannot be written out or forgotten is said")
{
    Disk_fixture world;
    const std::string none = "disk xvda: " + world.directory + "/none.img cannot be opened";
    const std::vector<config::Disk> gone{world.disk("%/none.img,raw,xvda,w")};
    CHECK_THAT(write_out(gone).error().message, Catch::StartsWith(none));
    CHECK_THAT(forget_cached(gone).error().message, Catch::StartsWith(none));
    // A device without a medium to sync.
    CHECK_THAT(write_out({world.disk("/dev/full,raw,xvda,w")}).error().message,
               Catch::StartsWith("what was written to disk xvda: /dev/full cannot be put on stable storage"));
}

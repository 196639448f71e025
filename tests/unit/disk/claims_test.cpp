// SPDX-License-Identifier: Apache-2.0
// Who may share a file or device with whom.
#include "toolstack/disk/claims.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::disk;

TEST_CASE("a writer is alone; readers are many, and so are those who all say w!")
{
    const char* const first = GENERATE("r", "w", "w!");
    const char* const other = GENERATE("r", "w", "w!");
    const auto disk         = [](const char* vdev, const char* access) {
        return config::parse_disk(std::string("/a.img,raw,") + vdev + "," + access).value();
    };
    const device::Address one{Domid{1}, "vbd", 51712};
    const device::Address two{Domid{2}, "vbd", 51728};
    const Identity file{false, 5, 77};
    Claims claims;
    CHECK(claims.check(one, file, disk("xvda", first)));
    claims.add(one, file, disk("xvda", first));
    const auto second   = claims.check(two, file, disk("xvdb", other));
    const bool together = std::string(first) == other && std::string(first) != "w";
    INFO(first << " and " << other);
    CHECK(second.has_value() == together);
    if (!second) {
        CHECK(second.error().code == Errc::busy);
        CHECK(second.error().message.starts_with("disk xvdb: /a.img is in use: it is disk xvda of domain 1"));
    }
    CHECK(claims.check(one, file, disk("xvda", other))); // it is no other
    CHECK(claims.check(two, {false, 5, 78}, disk("xvdb", other)));
    CHECK(claims.check(two, {false, 6, 77}, disk("xvdb", other)));
    CHECK(claims.check(two, {true, 5, 0}, disk("xvdb", other)));
    claims.release(one);
    CHECK(claims.check(two, file, disk("xvdb", other)));
}

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/descriptor_limit.hpp"

#include <catch2/catch.hpp>

#include <sys/resource.h>

using namespace vmm;

TEST_CASE("the soft limit of descriptors is raised to the hard one, which stays")
{
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit low{before.rlim_max / 2, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    for (int time = 0; time < 2; ++time) {
        REQUIRE(raise_descriptor_limit());
        rlimit now{};
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &now) == 0);
        CHECK(now.rlim_cur == before.rlim_max);
        CHECK(now.rlim_max == before.rlim_max);
    }
}

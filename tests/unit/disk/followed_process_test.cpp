// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/followed_process.hpp"

#include <catch2/catch.hpp>

#include <cerrno>

#include <sys/eventfd.h>
#include <sys/wait.h>

using namespace vmm;
using namespace vmm::disk;

TEST_CASE("a program that cannot be followed does not stay")
{
    const auto loop = Event_loop::create().value();
    {
        // The next descriptor gets its number, which the loop does not take a second time.
        const Unique_fd closed(::eventfd(0, EFD_CLOEXEC));
        REQUIRE(loop->add(closed.get(), 0, [](std::uint32_t) {}));
    }
    const auto started =
        Followed_process::start(*loop, {.words = {"/bin/sleep", "10"}, .environment = {}}, [](auto&&...) {});
    REQUIRE_FALSE(started);
    CHECK(started.error().code == Errc::exists);
    errno = 0;
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
    CHECK(errno == ECHILD);
}

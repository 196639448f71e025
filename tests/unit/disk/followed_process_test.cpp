// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/followed_process.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace vmm;
using namespace vmm::disk;

namespace
{

const Program kSleeps{.words = {"/bin/sleep", "10"}, .environment = {}};

std::string executable(pid_t pid)
{
    return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe");
}

} // namespace

TEST_CASE("a program that cannot be followed does not stay")
{
    const auto loop = Event_loop::create().value();
    {
        // The next descriptor gets its number, which the loop does not take a second time.
        const Unique_fd closed(::eventfd(0, EFD_CLOEXEC));
        REQUIRE(loop->add(closed.get(), 0, [](std::uint32_t) {}));
    }
    const auto started = Followed_process::start(*loop, kSleeps, [](auto&&...) {});
    REQUIRE_FALSE(started);
    CHECK(started.error().code == Errc::exists);
    errno = 0;
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
    CHECK(errno == ECHILD);
}

TEST_CASE("note is taken of a program before it begins")
{
    const auto loop = Event_loop::create().value();
    pid_t noted     = 0;
    std::string then;
    const auto take_note = [&](pid_t pid) {
        noted = pid;
        then  = executable(pid);
    };
    const auto started = Followed_process::start(
        *loop, kSleeps, [](auto&&...) {}, take_note);
    REQUIRE(started);
    CHECK((*started)->pid() == noted);
    CHECK(then == executable(::getpid()));
    CHECK(executable((*started)->pid()) != then);
    end_now((*started)->pid());
}

TEST_CASE("a program that its starter was killed over never begins")
{
    REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    const pid_t starter = ::fork();
    if (starter == 0) {
        (void)start(kSleeps, [](pid_t) { ::kill(::getpid(), SIGKILL); });
        ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(starter, &status, 0) == starter);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(::waitpid(-1, &status, 0) > 0); // else it would sleep, and end well
    CHECK_FALSE((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

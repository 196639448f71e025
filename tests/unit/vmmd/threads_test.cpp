// SPDX-License-Identifier: Apache-2.0
// The system has no more threads to give: what needs one is refused, and the daemon goes on.
#include "daemon_fixture.hpp"

#include "toolstack/migrate/receiver.hpp"

#include <catch2/catch.hpp>

#include <dlfcn.h>
#include <pthread.h>
#include <sys/socket.h>

#include <array>

using namespace vmm;
using namespace vmm::test;
using control::Json;

namespace
{

bool out_of_threads = false;

constexpr const char* kNone = "cannot start a thread: Resource temporarily unavailable; end something, or "
                              "allow more by TasksMax= of the service, kernel.threads-max or kernel.pid_max";

} // namespace

// In place of the C library's.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*),
                              void* argument)
{
    if (out_of_threads) {
        return EAGAIN;
    }
    static const auto theirs =
        reinterpret_cast<decltype(&pthread_create)>(::dlsym(RTLD_NEXT, "pthread_create"));
    return theirs(thread, attributes, body, argument);
}

TEST_CASE("without a thread for it no domain is made, and the next one is")
{
    Daemon_fixture daemon;
    const auto free     = daemon.hypervisor.free_pages;
    out_of_threads      = true;
    const Answer answer = daemon.perform("create", daemon.create_args("demo"));
    out_of_threads      = false;
    REQUIRE_FALSE(answer);
    CHECK_THAT(answer.error().message, Catch::Contains(kNone));
    daemon.check_nothing_left(free);
    daemon.create("demo");
}

TEST_CASE("a migration that comes without a thread for its sign of life is refused before it was answered")
{
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const auto over = [](int fd) {
        Unique_fd in(fd);
        Unique_fd out(::dup(fd));
        return migrate::Descriptor_stream::create(std::move(in), std::move(out), std::chrono::seconds(10))
            .value();
    };
    const auto source = over(ends[0]);
    auto out          = save::Image_writer::over(*source, "the target", save::Compression::none).value();
    REQUIRE(out.put(save::Record_type::description, save::encode({})));
    REQUIRE(out.flush());

    migrate::Receiver receiver(over(ends[1]), "the source");
    out_of_threads    = true;
    const auto domain = receiver.introduction();
    out_of_threads    = false;
    REQUIRE_FALSE(domain);
    CHECK(domain.error().message == kNone);
}

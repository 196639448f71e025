// SPDX-License-Identifier: Apache-2.0
// What the source of a migration takes a silent target for: one that is at work says so, so one that says
// nothing is dead.
#include "toolstack/migrate/answers.hpp"
#include "toolstack/migrate/receiver.hpp"
#include "toolstack/migrate/sender.hpp"

#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <array>
#include <thread>

using namespace vmm;
using namespace vmm::migrate;
using namespace std::chrono_literals;

namespace
{

constexpr auto kSilence = 3s;

using Stream = std::unique_ptr<Descriptor_stream>;

std::pair<Stream, Stream> make_connection()
{
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const auto over = [](int fd) {
        Unique_fd in(fd);
        Unique_fd out(::dup(fd));
        return Descriptor_stream::create(std::move(in), std::move(out), 60s).value();
    };
    return {over(ends[0]), over(ends[1])};
}

Plan impatient()
{
    Plan plan;
    plan.silence = kSilence;
    return plan;
}

} // namespace

TEST_CASE("a target that works for longer than it may be silent is waited for")
{
    auto [here, there] = make_connection();
    std::thread target([stream = std::move(there)]() mutable {
        Receiver receiver(std::move(stream), "the source");
        static_cast<void>(receiver.introduction());
        std::this_thread::sleep_for(2 * kSilence);
        receiver.refuse({Errc::invalid, "there is no such place"});
    });
    Sender sender(std::move(here), "the target", impatient());
    const auto prepared = sender.introduce({});
    target.join();
    REQUIRE_FALSE(prepared.has_value());
    CHECK(prepared.error().message == "the target: there is no such place");
}

TEST_CASE("a target that says nothing any more is given up")
{
    auto [here, there] = make_connection();
    auto out           = save::Image_writer::over(*there, "the source", save::Compression::none).value();
    REQUIRE(out.flush().has_value());
    Sender sender(std::move(here), "the target", impatient());
    const auto begin    = std::chrono::steady_clock::now();
    const auto prepared = sender.introduce({});
    REQUIRE_FALSE(prepared.has_value());
    CHECK(prepared.error().code == Errc::timed_out);
    CHECK(std::chrono::steady_clock::now() - begin < 30s); // not the patience of before it had said anything
}

// SPDX-License-Identifier: Apache-2.0
// What the source of a migration takes a silent target for: one that lives says so, so one that says nothing
// is dead.
#include "fake_hypervisor.hpp"
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

// More than lies between the two ends of a connection.
constexpr std::size_t kMuch = 4 << 20;

std::size_t read_all(Descriptor_stream& stream, std::size_t size)
{
    std::vector<std::byte> piece(64 << 10);
    std::size_t had = 0;
    while (had < size) {
        had += stream.read(piece).value();
    }
    return had;
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
    std::jthread target([stream = std::move(there)]() mutable {
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

TEST_CASE("a target that says that it lives is waited for while nothing can be written")
{
    constexpr int kWords = 12;
    auto [here, there]   = make_connection();
    std::jthread target([&stream = *there] {
        for (int i = 0; i < kWords; ++i) {
            std::this_thread::sleep_for(250ms);
            CHECK(stream.write(std::as_bytes(std::span("I live"))).has_value());
        }
        CHECK(read_all(stream, kMuch) == kMuch);
    });
    here->set_patience(2s);
    here->listen_while_writing();
    CHECK(here->write(std::vector<std::byte>(kMuch)).has_value());
    target.join();
    CHECK(read_all(*here, kWords * sizeof "I live") == kWords * sizeof "I live"); // nothing said is lost
}

TEST_CASE("a target that says nothing is given up while nothing can be written")
{
    auto [here, there] = make_connection();
    here->set_patience(1s);
    here->listen_while_writing();
    const auto written = here->write(std::vector<std::byte>(kMuch));
    REQUIRE_FALSE(written.has_value());
    CHECK(written.error().code == Errc::timed_out);
}

TEST_CASE("a target that talks without end while nothing can be written has to wait, and then is heard")
{
    constexpr std::size_t kTalk = 8 << 20;
    auto [here, there]          = make_connection();
    std::jthread talker(
        [&stream = *there] { CHECK(stream.write(std::vector<std::byte>(kTalk)).has_value()); });
    here->set_patience(1s);
    here->listen_while_writing();
    const auto written = here->write(std::vector<std::byte>(kMuch));
    REQUIRE_FALSE(written.has_value());
    CHECK(written.error().code == Errc::timed_out);
    CHECK(read_all(*here, kTalk) == kTalk);
    talker.join();
}

TEST_CASE("a target to which memory comes says that it lives, though nobody asks it")
{
    auto [here, there] = make_connection();
    std::jthread target([stream = std::move(there)]() mutable {
        test::Fake_hypervisor hypervisor;
        Receiver receiver(std::move(stream), "the source");
        static_cast<void>(receiver.introduction());
        CHECK_FALSE(receiver.receive(hypervisor, Domid(1), {}).has_value());
    });
    {
        auto out = save::Image_writer::over(*here, "the target", save::Compression::none).value();
        REQUIRE(out.put(save::Record_type::description, save::encode({})).has_value());
        REQUIRE(out.flush().has_value());
        auto in = save::Image_reader::over(*here, "the target").value();
        here->set_patience(kSilence);
        std::string word;
        while (word != kPrepared) {
            word = read_answer(in).value().word;
        }
        CHECK(read_answer(in).value().word == kWorking);
        CHECK(read_answer(in).value().word == kWorking);
        here.reset();
    }
    target.join();
}

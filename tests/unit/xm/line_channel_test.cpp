// SPDX-License-Identifier: Apache-2.0
#include "toolstack/control/line_channel.hpp"

#include "toolstack/control/protocol.hpp"

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <unistd.h>

using namespace vmm;
using control::Line_channel;

namespace
{

struct Pair {
    std::unique_ptr<Event_loop> loop = Event_loop::create().value();
    std::unique_ptr<Line_channel> channel;
    Unique_fd peer;
    std::vector<std::string> lines, closes;

    Pair()
    {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        peer = Unique_fd{ends[1]};
        channel =
            Line_channel::create(
                *loop, Unique_fd{ends[0]}, [this](std::string line) { lines.push_back(std::move(line)); },
                [this](std::string why) { closes.push_back(std::move(why)); })
                .value();
    }

    void say(std::string_view text)
    {
        REQUIRE(::write(peer.get(), text.data(), text.size()) == ssize_t(text.size()));
    }
    void turn(int times = 1)
    {
        while (times-- > 0)
            REQUIRE(loop->run_once(std::chrono::milliseconds{20}));
    }
};

} // namespace

TEST_CASE("Lines go both ways")
{
    Pair pair;
    pair.say("one\ntw");
    pair.turn();
    CHECK(pair.lines == std::vector<std::string>{"one"});
    pair.say("o\n");
    pair.turn();
    CHECK(pair.lines == std::vector<std::string>{"one", "two"});
    pair.channel->send("back\n");
    char answer[16];
    CHECK(::read(pair.peer.get(), answer, sizeof answer) == 5);
}

TEST_CASE("A peer that goes away is noticed while its request is open")
{
    Pair pair;
    pair.say("create\n");
    pair.turn();
    CHECK(pair.closes.empty());
    pair.peer.reset();
    pair.turn();
    CHECK(pair.closes == std::vector<std::string>{"closed by the peer"});
    CHECK_FALSE(pair.channel->is_open());
    pair.channel->send("too late\n");
    pair.turn(2);
    CHECK(pair.closes.size() == 1);
}

TEST_CASE("A peer that dies inside a message says so")
{
    Pair pair;
    pair.say("{\"id\":");
    pair.turn();
    pair.peer.reset();
    pair.turn();
    CHECK(pair.closes == std::vector<std::string>{"closed by the peer in the middle of a message"});
}

TEST_CASE("Requests sent before the peer left are still handed out, then the end")
{
    Pair pair;
    pair.say("one\ntwo\n");
    pair.peer.reset();
    pair.turn(3);
    CHECK(pair.lines == std::vector<std::string>{"one", "two"});
    CHECK(pair.closes.size() == 1);
}

TEST_CASE("Sending to a peer that is gone is reported from the loop, once")
{
    Pair pair;
    pair.peer.reset();
    pair.channel->send("x\n");
    CHECK(pair.closes.empty());
    pair.turn(3);
    CHECK(pair.closes.size() == 1);
}

TEST_CASE("What the peer does not take yet is kept and sent in order")
{
    Pair pair;
    const std::string big(3 << 20, 'a');
    pair.channel->send(big + "\n");
    std::string got;
    std::vector<char> chunk(65536);
    for (int i = 0; i < 2000 && got.size() < big.size() + 1; ++i) {
        const auto n = ::recv(pair.peer.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
        if (n > 0)
            got.append(chunk.data(), std::size_t(n));
        REQUIRE(pair.loop->run_once(std::chrono::milliseconds{0}));
    }
    CHECK(got == big + "\n");
    CHECK(pair.closes.empty());
}

TEST_CASE("A peer that never reads is cut off")
{
    Pair pair;
    const std::string big(Line_channel::kMax_unsent + (1 << 20), 'a');
    pair.channel->send(big);
    pair.turn(2);
    CHECK(pair.closes == std::vector<std::string>{"the peer does not read its answers"});
}

TEST_CASE("A message without end is cut off at the limit")
{
    Pair pair;
    const std::string piece(65536, 'a');
    for (std::size_t sent = 0; sent <= control::kMax_line && pair.closes.empty(); sent += piece.size()) {
        pair.say(piece);
        pair.turn(8);
    }
    CHECK(pair.closes == std::vector<std::string>{"a message is longer than the protocol allows"});
}

TEST_CASE("The owner may destroy the channel from its callbacks")
{
    auto loop = Event_loop::create().value();
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    const Unique_fd peer{ends[1]};
    std::unique_ptr<Line_channel> channel;
    int lines = 0;
    channel   = Line_channel::create(
                    *loop, Unique_fd{ends[0]},
                    [&](const std::string&) {
                      ++lines;
                      channel.reset();
                  },
                    [](const std::string&) {})
                  .value();
    REQUIRE(::write(peer.get(), "a\nb\n", 4) == 4);
    REQUIRE(loop->run_once(std::chrono::milliseconds{20}));
    CHECK(lines == 1);
    CHECK_FALSE(channel);
}

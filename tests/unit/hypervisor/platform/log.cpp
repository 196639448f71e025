// SPDX-License-Identifier: Apache-2.0
#include "debug/log.hpp"

#include "debug/rate_limit.hpp"
#include "platform/console.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using namespace vmm;
using log::Level;

namespace
{

struct Capture final : Console_sink {
    std::string text;
    void write(std::string_view t) override { text += t; }
    std::string take() { return std::exchange(text, {}); }
};

struct Fake_clock final : Clock {
    Time time{};
    [[nodiscard]] Time now() const override { return time; }
};

Capture& sink()
{
    static Capture capture;
    static const bool added = (add_console_sink(capture), true);
    (void)added;
    return capture;
}

Fake_clock& fake_clock()
{
    static Fake_clock c;
    log::set_clock(c);
    return c;
}

std::string read_all(bool incremental, u32& index, std::size_t chunk = 100)
{
    std::string all, buffer(chunk, ' ');
    for (bool more = incremental;; more = true) {
        const std::size_t n = log::read_ring(more, index, buffer);
        all.append(buffer, 0, n);
        if (n == 0)
            return all;
    }
}

} // namespace

TEST_CASE("log ring: the newest characters, by number")
{
    auto ring = std::make_unique<Log_ring>();
    ring->append("hello ");
    ring->append("world");
    char out[32];
    std::size_t n = 0;
    CHECK(ring->read(0, out, n) == 11);
    CHECK(std::string(out, n) == "hello world");
    CHECK(ring->read(6, out, n) == 11);
    CHECK(std::string(out, n) == "world");
    CHECK(ring->read(11, out, n) == 11);
    CHECK(n == 0);
    CHECK(ring->read(0, std::span<char>(out, 4), n) == 4);
    CHECK(ring->read(500, out, n) == 11); // a number not written yet means from the start
    CHECK(n == 11);
    ring->clear();
    CHECK(ring->read(0, out, n) == 11);
    CHECK(n == 0);
}

TEST_CASE("log ring: old text makes room for new, and numbers wrap")
{
    const std::string block(4096, 'x');
    constexpr u32 blocks = 2 * kLogRingSize / 4096;
    auto ring            = std::make_unique<Log_ring>(0u - (blocks - 10) * 4096);
    for (u32 i = 0; i < blocks; ++i)
        ring->append(block);
    ring->append("end");
    CHECK(ring->next() == 10 * 4096 + 3); // beyond 2^32 they start over
    CHECK(ring->oldest() > ring->next());
    CHECK(ring->next() - ring->oldest() == kLogRingSize);
    char out[16];
    std::size_t n = 0;
    ring->read(ring->next() - 3, out, n);
    CHECK(std::string(out, n) == "end");
    ring->read(ring->oldest() - 1, out, n); // just lost: the oldest there is
    CHECK(n == sizeof out);
    CHECK(out[0] == 'x');
}

TEST_CASE("rate limit: a burst, then as time allows, and it counts what it held back")
{
    Rate_limit limit(3, 100);
    for (int i = 0; i < 3; ++i)
        CHECK(limit.allow(Time(0)));
    CHECK_FALSE(limit.allow(Time(50)));
    CHECK_FALSE(limit.allow(Time(99)));
    CHECK(limit.allow(Time(100)));
    CHECK_FALSE(limit.allow(Time(150)));
    CHECK(limit.take_suppressed() == 3);
    CHECK(limit.take_suppressed() == 0);
    for (int i = 0; i < 3; ++i)
        CHECK(limit.allow(Time(1'000'000)));
    CHECK_FALSE(limit.allow(Time(1'000'000)));
}

TEST_CASE("log: lines with prefix, level and time, to the console and the ring")
{
    Capture& out      = sink();
    fake_clock().time = Time(12'000'345'678);
    log::set_thresholds({Level::debug, Level::debug}, {Level::none, Level::warning});
    log::clear_ring();
    out.take();
    log::warning("frame {x} of d{}", 255u, 7u);
    CHECK(out.take() == "(PLINTH) [12.000345] warning: frame 0xff of d7\n");
    u32 index = 0;
    CHECK(read_all(false, index) == "(PLINTH) [12.000345] warning: frame 0xff of d7\n");
    log::info("next");
    CHECK(read_all(true, index) == "(PLINTH) [12.000345] next\n");
}

TEST_CASE("log: thresholds")
{
    Capture& out = sink();
    log::set_thresholds({Level::warning, Level::warning}, {Level::none, Level::none});
    out.take();
    log::info("no");
    log::guest(Level::error, "no");
    CHECK(out.take().empty());
    log::error("yes");
    CHECK(out.take().find("error: yes\n") != std::string::npos);
}

TEST_CASE("log: a guest cannot flood it, and what was held back is told")
{
    Capture& out     = sink();
    Fake_clock& time = fake_clock();
    log::set_thresholds({Level::info, Level::info}, {Level::error, Level::warning});
    time.time = Time(3600 * kSecond);
    out.take();
    for (int i = 0; i < 10000; ++i)
        log::guest(Level::warning, "g{}", i);
    const std::string flood = out.take();
    CHECK(std::count(flood.begin(), flood.end(), '\n') == 50);
    log::guest(Level::error, "always shown");
    CHECK(out.take().find("always shown") != std::string::npos);
    time.time = time.time + 10 * kSecond;
    log::guest(Level::warning, "later");
    const std::string after = out.take();
    CHECK(after.find("9950 lines were held back") != std::string::npos);
    CHECK(after.find("later") != std::string::npos);
}

TEST_CASE("log: a line longer than the buffer is cut, with its end of line")
{
    Capture& out = sink();
    log::set_thresholds({Level::info, Level::info}, {Level::none, Level::none});
    out.take();
    log::info("{}", std::string(5000, 'y'));
    const std::string line = out.take();
    CHECK(line.size() <= 320);
    CHECK(line.back() == '\n');
}

TEST_CASE("console input: kept in order until it is full")
{
    struct Line final : Console_sink {
        std::string text;
        void write(std::string_view) override {}
        void serve() override
        {
            for (char c : std::exchange(text, ""))
                console_received(c);
        }
    } line;
    static unsigned hooks = 0;
    set_console_input_hook([] { ++hooks; });
    line.text = "abc";
    serve_console_sink(line);
    serve_console_sink(line); // an interrupt that brought nothing
    CHECK(hooks == 1);
    char out[2000];
    CHECK(console_read(std::span<char>(out, 2)) == 2);
    CHECK(std::string(out, 2) == "ab");
    for (int i = 0; i < 3000; ++i)
        console_received(static_cast<char>('0' + i % 10));
    CHECK(console_read(out) == 1024);
    CHECK(out[0] == 'c');
    CHECK(out[1] == '0');
    CHECK(console_read(out) == 0);
    set_console_input_hook(nullptr);
}

TEST_CASE("log: the last lines again, whole ones only")
{
    Capture& out      = sink();
    fake_clock().time = Time(0);
    log::set_thresholds({Level::info, Level::info}, {Level::none, Level::none});
    log::clear_ring();
    log::info("one");
    log::info("two");
    log::info("three");
    out.take();
    log::replay(out, 1000);
    CHECK(out.take() == "(PLINTH) [0.000000] one\n(PLINTH) [0.000000] two\n(PLINTH) [0.000000] three\n");
    log::replay(out, 60);
    CHECK(out.take() == "(PLINTH) [0.000000] two\n(PLINTH) [0.000000] three\n");
    log::clear_ring();
    log::replay(out, 60);
    CHECK(out.take().empty());
}

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/console/console.hpp"

#include "daemon_fixture.hpp"

#include "toolstack/base/log.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

using namespace vmm;
using namespace vmm::test;

namespace
{

bool out_of_terminals = false;

}

// In place of the C library's.
extern "C" int posix_openpt(int flags)
{
    if (out_of_terminals) {
        errno = ENOSPC;
        return -1;
    }
    return ::open("/dev/ptmx", flags);
}

namespace
{

// The guest's side of a ring, and a console on it.
struct Bench {
    Fake_hypervisor hypervisor;
    std::unique_ptr<Event_loop> loop = Event_loop::create().value();
    Terminal_watch terminals{*loop};
    Domid id = *hypervisor.create({{}, 1, 0});
    Console::Place place{id, Gfn{16}, Evtchn_port{1}};
    std::string log_path;
    std::unique_ptr<Console> console;
    xencons_interface* ring = nullptr;

    explicit Bench(std::optional<Log_file> log = std::nullopt)
    {
        const std::uint64_t frames[] = {16};
        hypervisor.populate(id, frames, 0).value();
        ring = static_cast<xencons_interface*>(
            static_cast<void*>(hypervisor.domain(id).memory + 16 * kPageSize));
        console = open(std::move(log));
    }
    std::unique_ptr<Console> open(std::optional<Log_file> log = std::nullopt)
    {
        return Console::create(*loop, hypervisor, terminals, place, std::move(log)).value();
    }
    void fire() { hypervisor.fire(id, place.port); }
    // As the guest's driver does it; returns how much fitted.
    std::size_t print(std::string_view text)
    {
        const std::uint32_t room = sizeof ring->out - (ring->out_prod - ring->out_cons);
        const std::size_t now    = std::min<std::size_t>(room, text.size());
        for (std::size_t i = 0; i < now; ++i) {
            ring->out[(ring->out_prod + i) % sizeof ring->out] = text[i];
        }
        ring->out_prod += static_cast<std::uint32_t>(now);
        fire();
        return now;
    }
    std::string typed()
    {
        std::string text;
        while (ring->in_cons != ring->in_prod) {
            text += ring->in[ring->in_cons++ % sizeof ring->in];
        }
        fire();
        return text;
    }
    void turn(int times = 20)
    {
        for (int i = 0; i < times; ++i) {
            loop->run_once(std::chrono::milliseconds(1)).value();
        }
    }
    Unique_fd attach() const { return attach_to(*console); }
    static Unique_fd attach_to(const Console& console)
    {
        return Unique_fd(::open(console.tty().c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK));
    }
    std::string read_all(const Unique_fd& terminal)
    {
        std::string text;
        char buffer[4096];
        for (int quiet = 0; quiet < 5;) {
            turn(2);
            const ssize_t got = ::read(terminal.get(), buffer, sizeof buffer);
            if (got > 0) {
                text.append(buffer, static_cast<std::size_t>(got));
                quiet = 0;
            } else {
                ++quiet;
            }
        }
        return text;
    }
};

std::size_t open_inotify_instances()
{
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone; // the descriptor of the directory itself
        count += std::filesystem::read_symlink(entry, gone) == "anon_inode:inotify" ? 1 : 0;
    }
    return count;
}

std::string contents(const std::string& path)
{
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

} // namespace

TEST_CASE("a ring with sound indices gives all, in order, across its end")
{
    auto page = std::make_unique<xencons_interface>();
    std::memset(page.get(), 0, sizeof *page);
    Console_ring ring(page.get());
    page->out_cons = page->out_prod = 0xffffff00; // close to the wrap of the index too
    std::string expected;
    std::string got;
    for (int round = 0; round < 20; ++round) {
        for (int i = 0; i < 700; ++i) {
            const char c                                   = static_cast<char>('a' + (round + i) % 26);
            page->out[page->out_prod++ % sizeof page->out] = c;
            expected += c;
        }
        CHECK(ring.take_output(got, 100) == 100);
        ring.take_output(got, 100'000);
    }
    CHECK(got == expected);
    CHECK(page->out_cons == page->out_prod);
}

TEST_CASE("a ring with any indices at all is bounded")
{
    auto page = std::make_unique<xencons_interface>();
    std::memset(page.get(), 'x', sizeof *page);
    Console_ring ring(page.get());
    std::mt19937 random(5);
    for (int round = 0; round < 20'000; ++round) {
        page->out_cons = random();
        page->out_prod = round % 3 == 0 ? page->out_cons + random() % 4096 : random();
        page->in_cons  = random();
        page->in_prod  = round % 5 == 0 ? page->in_cons + random() % 2048 : random();
        std::string text;
        ring.take_output(text, 100'000);
        CHECK(text.size() <= sizeof page->out);
        CHECK(page->out_cons == page->out_prod);
        CHECK(ring.give_input("hello, this is more than nothing") <= 32);
    }
}

TEST_CASE("input fills the ring and no more")
{
    auto page = std::make_unique<xencons_interface>();
    std::memset(page.get(), 0, sizeof *page);
    Console_ring ring(page.get());
    CHECK(ring.give_input(std::string(5000, 'k')) == sizeof page->in);
    CHECK(ring.give_input("x") == 0);
    page->in_cons += 10;
    CHECK(ring.input_space() == 10);
    CHECK(ring.give_input(std::string(50, 'k')) == 10);
}

TEST_CASE("what was printed before anybody came waits for the first reader")
{
    Bench bench;
    bench.print("early words\r\n");
    bench.turn();
    const Unique_fd terminal = bench.attach();
    CHECK(bench.read_all(terminal) == "early words\r\n");
    bench.print("later");
    CHECK(bench.read_all(terminal) == "later");
    CHECK(bench.hypervisor.notifications >= 2); // the guest hears that there is room again
}

TEST_CASE("typing reaches the guest, also when its ring is full for a while")
{
    Bench bench;
    const Unique_fd terminal = bench.attach();
    REQUIRE(::write(terminal.get(), "ls\n", 3) == 3);
    bench.turn();
    CHECK(bench.typed() == "ls\n");
    const std::string much(3000, 'y');
    REQUIRE(::write(terminal.get(), much.data(), much.size()) == 3000);
    std::string got;
    for (int round = 0; round < 10; ++round) {
        bench.turn();
        got += bench.typed();
    }
    CHECK(got == much);
}

TEST_CASE("consoles share one inotify instance and none hears of another's readers")
{
    Bench bench;
    std::vector<std::unique_ptr<Console>> others;
    for (int i = 0; i < 20; ++i) {
        others.push_back(bench.open());
    }
    CHECK(open_inotify_instances() == 1);

    const Unique_fd elsewhere = Bench::attach_to(*others.front());
    bench.turn();
    bench.print("for its own reader");
    bench.turn();
    const Unique_fd terminal = bench.attach();
    CHECK(bench.read_all(terminal) == "for its own reader");
    CHECK(bench.read_all(elsewhere).empty());

    others.clear();
    bench.print(", still");
    CHECK(bench.read_all(terminal) == ", still");
}

TEST_CASE("what is printed after the last reader has gone waits for the next one")
{
    Bench bench;
    Unique_fd terminal = bench.attach();
    bench.print("one");
    CHECK(bench.read_all(terminal) == "one");
    terminal.reset();
    bench.turn();
    const std::string much(100'000, 'm'); // the backlog keeps the newest of it, the terminal the oldest
    for (std::size_t at = 0; at < much.size(); at += 2000) {
        bench.print(much.substr(at, 2000));
    }
    bench.print("last");
    terminal = bench.attach();
    CHECK(bench.read_all(terminal).ends_with("mlast"));
}

TEST_CASE("a guest that floods is slowed down and cannot fill memory or disk")
{
    log::set_level(log::Level::error);
    char name[]                 = "/tmp/vmm-console-test-XXXXXX";
    const std::string directory = mkdtemp(name);
    {
        Bench bench(Log_file::open(directory + "/flood.log", {64U << 10, 2}).value());
        const std::string line(2048, 'f');
        std::size_t taken = 0;
        for (int i = 0; i < 4000; ++i) {
            taken += bench.print(line);
        }
        CHECK(taken >= 1U << 20);                                // an ordinary burst passes
        CHECK(taken < 3U << 20);                                 // 8 MiB do not
        CHECK(bench.ring->out_prod - bench.ring->out_cons != 0); // the rest waits in its own ring
        std::uintmax_t on_disk = 0;
        for (const auto& file : std::filesystem::directory_iterator(directory)) {
            CHECK(file.file_size() <= 64U << 10);
            on_disk += file.file_size();
        }
        CHECK(on_disk <= 3 * (64U << 10));
        const Unique_fd terminal = bench.attach();
        bench.turn();
        CHECK(bench.read_all(terminal).size() <= 600U << 10);
    }
    std::filesystem::remove_all(directory);
}

TEST_CASE("the last words are in the log")
{
    char name[]                 = "/tmp/vmm-console-test-XXXXXX";
    const std::string directory = mkdtemp(name);
    {
        Bench bench(Log_file::open(directory + "/g.log", {}).value());
        std::strcpy(bench.ring->out, "panic!");
        bench.ring->out_prod = 6; // and no event any more
        bench.console->drain();
        CHECK(contents(directory + "/g.log") == "panic!");
        bench.console.reset();
        CHECK(bench.hypervisor.bound_ports() == 0);
        CHECK(*bench.hypervisor.domain(bench.id).views == 0);
    }
    std::filesystem::remove_all(directory);
}

TEST_CASE("a guest whose console has no terminal can print, and its words are in the log")
{
    log::set_level(log::Level::error);
    char name[]                 = "/tmp/vmm-console-test-XXXXXX";
    const std::string directory = mkdtemp(name);
    {
        out_of_terminals = true;
        Bench bench(Log_file::open(directory + "/g.log", {}).value());
        out_of_terminals = false;
        CHECK(bench.console->tty().empty());
        std::string expected;
        for (int i = 0; i < 10; ++i) {
            const std::string text(1500, static_cast<char>('a' + i));
            CHECK(bench.print(text) == text.size());
            expected += text;
        }
        CHECK(bench.ring->out_cons == bench.ring->out_prod);
        CHECK(bench.hypervisor.notifications >= 10);
        CHECK(contents(directory + "/g.log") == expected);
        bench.turn();
        bench.console.reset();
        CHECK(bench.hypervisor.bound_ports() == 0);
    }
    std::filesystem::remove_all(directory);
}

TEST_CASE("a domain whose console has no terminal is made, and xm is told")
{
    Daemon_fixture daemon;
    out_of_terminals = true;
    const Domid id   = daemon.create("demo");
    out_of_terminals = false;
    CHECK(daemon.node("/local/domain/" + to_string(id) + "/console/tty").empty());
    CHECK(code_of(daemon.perform("console", {{"domain", "demo"}})) == control::Code::bad_state);
    const Answer listed = daemon.perform("list", {{"domain", "demo"}, {"long", true}});
    REQUIRE(listed);
    CHECK_FALSE(listed->at("domains").at(0).contains("console"));
}

TEST_CASE("logs are rotated by size, the oldest goes, and an old log is continued")
{
    char name[]                 = "/tmp/vmm-console-test-XXXXXX";
    const std::string directory = mkdtemp(name);
    const std::string path      = directory + "/g.log";
    {
        Log_file log = Log_file::open(path, {10, 2}).value();
        log.append("aaaaaaaaaabbbbbbbbbbccccccccccdddddddddde");
        CHECK(contents(path) == "e");
        CHECK(contents(path + ".1") == "dddddddddd");
        CHECK(contents(path + ".2") == "cccccccccc");
        CHECK_FALSE(std::filesystem::exists(path + ".3"));
    }
    Log_file again = Log_file::open(path, {10, 2}).value();
    again.append("ff");
    CHECK(contents(path) == "eff");
    CHECK_FALSE(Log_file::open(directory + "/no/such/place.log", {}));
    std::filesystem::remove_all(directory);
}

TEST_CASE("a log that cannot be opened again for a while loses what comes then, and no old log")
{
    log::set_level(log::Level::error);
    char name[]                 = "/tmp/vmm-console-test-XXXXXX";
    const std::string directory = mkdtemp(name);
    const std::string path      = directory + "/g.log";
    {
        Log_file log = Log_file::open(path, {10, 2}).value();
        log.append("aaaaaaaaaabbbbbbbbbb");
        rlimit limit{};
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
        const rlimit none{0, limit.rlim_max}; // files can be renamed all the same
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
        for (int i = 0; i < 10; ++i) {
            log.append("lost");
        }
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
        CHECK(contents(path + ".1") == "bbbbbbbbbb");
        CHECK(contents(path + ".2") == "aaaaaaaaaa");
        log.append("cc");
        CHECK(contents(path) == "cc");
        CHECK(contents(path + ".1") == "bbbbbbbbbb");
    }
    std::filesystem::remove_all(directory);
}

TEST_CASE("the backlog keeps the newest")
{
    Backlog backlog(10);
    backlog.append("0123456789abcdef");
    CHECK(backlog.text() == "6789abcdef");
    backlog.consume(4);
    CHECK(backlog.text() == "abcdef");
    backlog.append(std::string(50, 'z'));
    CHECK(backlog.text() == std::string(10, 'z'));
    backlog.consume(10);
    CHECK(backlog.empty());
}

TEST_CASE("the allowance refills with time and never beyond its burst")
{
    const Allowance::Time start{};
    Allowance allowance(100, 1000, start);
    allowance.use(150);
    CHECK(allowance.available(start) == 0);
    CHECK(allowance.available(start + std::chrono::milliseconds(50)) == 50);
    CHECK(allowance.available(start + std::chrono::hours(1000)) == 100);
    CHECK(allowance.available(start) == 100); // time does not go back
}

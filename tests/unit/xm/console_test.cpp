// SPDX-License-Identifier: Apache-2.0
// The console against a real pty whose other end the test holds, with pipes and with a terminal on the user's
// side.
#include "fake_vmmd.hpp"

#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <future>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

using namespace vmm;
using test::Fake_vmmd;
using test::Json;
using test::Ran;

namespace
{

struct Pipe {
    Unique_fd read, write;
    Pipe()
    {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        read  = Unique_fd{ends[0]};
        write = Unique_fd{ends[1]};
    }
};

// The console's is raw as vmmd makes it, the user's is as a terminal comes. The slave is kept open like
// vmmd's own, so that the master never sees a hang-up.
struct Pty {
    enum class Mode { raw, cooked };

    Unique_fd master, slave;
    std::string path;

    explicit Pty(Mode mode = Mode::raw)
    {
        int ends[2];
        char name[128];
        REQUIRE(::openpty(&ends[0], &ends[1], name, nullptr, nullptr) == 0);
        master = Unique_fd{ends[0]};
        slave  = Unique_fd{ends[1]};
        path   = name;
        termios settings{};
        REQUIRE(::tcgetattr(slave.get(), &settings) == 0);
        if (mode == Mode::raw)
            ::cfmakeraw(&settings);
        REQUIRE(::tcsetattr(slave.get(), TCSANOW, &settings) == 0);
    }
};

void say(const Unique_fd& fd, std::string_view text)
{
    REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

// Reads until `wanted` has come, or fails after a while.
std::string hear(const Unique_fd& fd, std::string_view wanted)
{
    std::string got;
    while (got.find(wanted) == std::string::npos) {
        pollfd wait{fd.get(), POLLIN, 0};
        INFO("so far: " << got);
        REQUIRE(::poll(&wait, 1, 20000) == 1);
        char chunk[256];
        const auto n = ::read(fd.get(), chunk, sizeof chunk);
        REQUIRE(n > 0);
        got.append(chunk, static_cast<std::size_t>(n));
    }
    return got;
}

struct Scene {
    Fake_vmmd vmmd;
    Pty console;
    Pipe input, output;

    Scene() { vmmd.answer("console", {{"domid", 3}, {"name", "demo"}, {"pty", console.path}}); }

    std::future<Ran> start(std::vector<std::string> words, int in_fd)
    {
        return std::async(std::launch::async,
                          [=, this] { return test::run_xm(words, in_fd, output.write.get()); });
    }
    std::future<Ran> start() { return start({"console", "demo"}, input.read.get()); }
};

const Json kGone = {{"domid", 3}, {"outcome", "gone"}, {"reason", "poweroff"}};

} // namespace

TEST_CASE("Bytes go both ways unchanged, and the end of the domain ends the console")
{
    Scene scene;
    auto ran = scene.start();
    say(scene.console.master, "login: ");
    CHECK(hear(scene.output.read, "login: ") == "login: ");
    say(scene.input.write, "root\r\x03"); // Ctrl-C is the guest's
    CHECK(hear(scene.console.master, "\x03") == "root\r\x03");
    say(scene.console.master, "last words\n");
    scene.vmmd.answer_held("wait", kGone);
    CHECK(hear(scene.output.read, "\n") == "last words\n");
    const auto result = ran.get();
    CHECK(result.exit == 0);
    CHECK(result.err == "[demo has powered off]\n");
    CHECK(scene.vmmd.requests()[1] == R"(wait {"domid":3})");
}

TEST_CASE("The end of piped input does not end the console")
{
    Scene scene;
    say(scene.input.write, "poweroff\n");
    scene.input.write.reset();
    auto ran = scene.start();
    CHECK(hear(scene.console.master, "\n") == "poweroff\n");
    say(scene.console.master, "bye");
    CHECK(hear(scene.output.read, "bye") == "bye");
    scene.vmmd.answer_held("wait", kGone);
    CHECK(ran.get().exit == 0);
}

TEST_CASE("Ctrl-] leaves, after what was typed before it, and leaves the domain alone")
{
    Scene scene;
    say(scene.input.write, "ls\n\x1d ignored");
    auto ran          = scene.start();
    const auto result = ran.get();
    CHECK(result.exit == 0);
    CHECK(result.err == "[left the console of demo; it goes on]\n");
    CHECK(hear(scene.console.master, "\n") == "ls\n");
    scene.vmmd.wait_for_hang_ups(1); // all that was asked has come by then
    CHECK(scene.vmmd.requests().size() == 2);
}

TEST_CASE("A terminal is raw while attached and as before after")
{
    Scene scene;
    const Pty user{Pty::Mode::cooked};
    termios before{};
    REQUIRE(::tcgetattr(user.slave.get(), &before) == 0);
    REQUIRE((before.c_lflag & ICANON) != 0);

    auto ran = scene.start({"console", "demo"}, user.slave.get());
    scene.vmmd.wait_for_request("wait");
    say(scene.console.master, "x");
    hear(scene.output.read, "x");
    termios during{};
    REQUIRE(::tcgetattr(user.slave.get(), &during) == 0);
    CHECK((during.c_lflag & (ICANON | ECHO | ISIG)) == 0);

    SECTION("Ctrl-]") { say(user.master, "\x1d"); }
    SECTION("the domain ends") { scene.vmmd.answer_held("wait", kGone); }
    CHECK(ran.get().exit == 0);
    termios after{};
    REQUIRE(::tcgetattr(user.slave.get(), &after) == 0);
    CHECK(after.c_lflag == before.c_lflag);
    CHECK(after.c_oflag == before.c_oflag);
}

TEST_CASE("SIGTERM restores the terminal before it kills")
{
    Scene scene;
    const Pty user{Pty::Mode::cooked};
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::signal(SIGTERM, SIG_DFL); // the test framework has a handler of its own
        static_cast<void>(test::run_xm({"console", "demo"}, user.slave.get(), scene.output.write.get()));
        ::_exit(77); // not reached: the signal takes effect once the terminal is right
    }
    scene.vmmd.wait_for_request("wait");
    say(scene.console.master, "x");
    hear(scene.output.read, "x");
    REQUIRE(::kill(child, SIGTERM) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM));
    termios after{};
    REQUIRE(::tcgetattr(user.slave.get(), &after) == 0);
    CHECK((after.c_lflag & ICANON) != 0);
}

TEST_CASE("A console follows its domain through a restart")
{
    Scene scene;
    Pty second;
    auto ran = scene.start();
    say(scene.console.master, "one");
    hear(scene.output.read, "one");
    scene.vmmd.answer("console", {{"domid", 4}, {"name", "demo"}, {"pty", second.path}});
    scene.vmmd.answer_held("wait",
                           {{"domid", 3}, {"outcome", "restarted"}, {"reason", "reboot"}, {"new_domid", 4}});
    say(second.master, "two");
    hear(scene.output.read, "two");
    scene.vmmd.answer_held("wait", {{"domid", 4}, {"outcome", "preserved"}, {"reason", "crash"}});
    const auto result = ran.get();
    CHECK(result.exit == 0);
    CHECK(result.err == "[demo has rebooted, and runs again with id 4]\n[demo has crashed, and is kept until "
                        "'xm destroy']\n");
    CHECK(scene.vmmd.requests()[2] == R"(console {"domain":"4"})");
}

TEST_CASE("A pty that closes before the answer to wait is no error")
{
    Scene scene;
    auto ran = scene.start();
    say(scene.console.master, "end");
    hear(scene.output.read, "end");
    scene.console.master.reset();
    scene.vmmd.answer_held("wait", kGone);
    CHECK(ran.get().exit == 0);
}

TEST_CASE("Much output and much input at once do not block each other")
{
    Scene scene;
    auto ran = scene.start();
    scene.vmmd.wait_for_request("wait");
    const std::string much(100000, 'i');
    std::thread typist{[&] { say(scene.input.write, much); }};
    std::thread guest{[&] {
        for (int i = 0; i < 100; ++i)
            say(scene.console.master, std::string(1000, 'o'));
    }};
    std::thread reader{[&] {
        char chunk[4096];
        for (std::size_t got = 0; got < 100000;)
            got += static_cast<std::size_t>(::read(scene.output.read.get(), chunk, sizeof chunk));
    }};
    std::size_t typed = 0;
    char chunk[4096];
    while (typed < much.size())
        typed += static_cast<std::size_t>(::read(scene.console.master.get(), chunk, sizeof chunk));
    typist.join();
    guest.join();
    reader.join();
    CHECK(typed == much.size());
    scene.vmmd.answer_held("wait", kGone);
    CHECK(ran.get().exit == 0);
}

TEST_CASE("A vmmd that dies ends the console with an error")
{
    Scene scene;
    scene.vmmd.hang_up_on("wait");
    const auto result = scene.start().get();
    CHECK(result.exit == 5);
}

TEST_CASE("A pty that cannot be opened, a closed output")
{
    Scene scene;
    SECTION("no pty")
    {
        scene.vmmd.answer("console", {{"domid", 3}, {"name", "demo"}, {"pty", "/nonexistent/pty"}});
        const auto result = scene.start().get();
        CHECK(result.exit == 1);
        CHECK(result.err ==
              "xm console: cannot open /nonexistent/pty, the console of demo: No such file or directory\n");
    }
    SECTION("nobody reads")
    {
        std::signal(SIGPIPE, SIG_IGN);
        scene.output.read.reset();
        auto ran = scene.start();
        say(scene.console.master, "x");
        CHECK(ran.get().err == "xm console: the output is closed: left the console, the domain goes on\n");
    }
}

TEST_CASE("create -c attaches to what it made")
{
    Scene scene;
    scene.vmmd.answer("create", {{"domid", 3}, {"name", "demo"}});
    auto ran = scene.start({"create", "-c", "-q", "name=demo", "kernel=/k"}, scene.input.read.get());
    say(scene.console.master, "Linux version");
    hear(scene.output.read, "Linux version");
    scene.vmmd.answer_held("wait", kGone);
    CHECK(ran.get().exit == 0);
    CHECK(scene.vmmd.requests()[1] == R"(console {"domain":"3"})");
}

// SPDX-License-Identifier: Apache-2.0
// The control socket as a client sees it: requests, answers, and going away in the middle.
#include "daemon_fixture.hpp"

#include "toolstack/vmmd/control_server.hpp"

#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

using namespace vmm;
using namespace vmm::test;
using control::Json;

namespace
{

bool out_of_descriptors = false;

}

// In place of the C library's. A real limit would also keep UBSan from looking at objects, for which it makes
// a pipe.
extern "C" int accept4(int fd, sockaddr* address, socklen_t* size, int flags)
{
    if (out_of_descriptors) {
        errno = EMFILE;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_accept4, fd, address, size, flags));
}

namespace
{

struct Bench {
    Daemon_fixture daemon;
    std::string path = daemon.directory + "/run/vmmd.sock";
    std::unique_ptr<Control_server> server =
        Control_server::create(*daemon.loop, *daemon.operations, path).value();

    Unique_fd connect() const
    {
        Unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, path.c_str());
        REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        return fd;
    }
    static void send(const Unique_fd& fd, const std::string& text)
    {
        REQUIRE(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(text.size()));
    }
    // The next line that arrives.
    Json receive(const Unique_fd& fd)
    {
        std::string line;
        daemon.run_until([&] {
            char c = 0;
            while (::recv(fd.get(), &c, 1, 0) == 1) {
                if (c == '\n') {
                    return true;
                }
                line += c;
            }
            return false;
        });
        return Json::parse(line);
    }
};

} // namespace

TEST_CASE("requests over the socket are answered with their id")
{
    Bench bench;
    const Unique_fd client = bench.connect();
    Bench::send(client,
                "{\"id\":7,\"op\":\"domname\",\"args\":{\"domain\":\"0\"}}\n{\"id\":8,\"op\":\"none\"}\n");
    const Json first = bench.receive(client);
    CHECK(first.at("id") == 7);
    CHECK(first.at("result").at("name") == "Domain-0");
    const Json second = bench.receive(client);
    CHECK(second.at("id") == 8);
    CHECK(second.at("error").at("code") == "unknown-op");
    Bench::send(client, "nonsense\n");
    CHECK(bench.receive(client).at("error").at("code") == "bad-request");
}

TEST_CASE("only root may open the socket")
{
    Bench bench;
    struct stat status {
    };
    REQUIRE(::stat(bench.path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a client killed while its domain is created leaves none behind")
{
    Bench bench;
    const auto free = bench.daemon.hypervisor.free_pages;
    const std::string request =
        Json{{"id", 1}, {"op", "create"}, {"args", bench.daemon.create_args("demo")}}.dump() + "\n";
    for (int turns = 0; turns < 6; ++turns) {
        Unique_fd client = bench.connect();
        Bench::send(client, request);
        for (int i = 0; i < turns; ++i) {
            bench.daemon.loop->run_once(std::chrono::milliseconds(2)).value();
        }
        const bool answered = [&] {
            char c = 0;
            return ::recv(client.get(), &c, 1, MSG_PEEK) == 1;
        }();
        client.reset();
        INFO(turns);
        if (answered) { // it was done before the client went: a domain like any other
            REQUIRE(bench.daemon.perform("destroy", {{"domain", "demo"}}));
        }
        bench.daemon.run_for(std::chrono::milliseconds(20)); // for what was sent to be read
        bench.daemon.run_until([&] { return !bench.daemon.supervisor->creation_of("demo"); });
        bench.daemon.check_nothing_left(free);
    }
}

TEST_CASE("a client that waits and goes is forgotten")
{
    Bench bench;
    const Domid id   = bench.daemon.create("demo");
    Unique_fd client = bench.connect();
    Bench::send(client, Json{{"id", 1}, {"op", "wait"}, {"args", {{"domid", raw(id)}}}}.dump() + "\n");
    bench.daemon.run_for(std::chrono::milliseconds(20));
    client.reset();
    bench.daemon.run_for(std::chrono::milliseconds(20));
    bench.daemon.guest_ends(id, Shutdown_reason::poweroff);
    bench.daemon.run_until([&] { return bench.daemon.supervisor->domains().all().empty(); });
}

TEST_CASE("without a descriptor for a client the loop rests, and the client is served later")
{
    Bench bench;
    const Unique_fd client = bench.connect();
    Bench::send(client, "{\"id\":1,\"op\":\"domname\",\"args\":{\"domain\":\"0\"}}\n");
    out_of_descriptors = true;
    const auto end     = Event_loop::Clock::now() + std::chrono::milliseconds(200);
    int turns          = 0;
    while (Event_loop::Clock::now() < end) {
        bench.daemon.loop->run_once(std::chrono::milliseconds(50)).value();
        ++turns;
    }
    out_of_descriptors = false;
    CHECK(turns < 20);
    CHECK(bench.receive(client).at("id") == 1);
}

TEST_CASE("a server that waits for a descriptor can end")
{
    Bench bench;
    const Unique_fd client = bench.connect();
    out_of_descriptors     = true;
    bench.daemon.run_for(std::chrono::milliseconds(20));
    out_of_descriptors = false;
    bench.server.reset();
    bench.daemon.run_for(std::chrono::milliseconds(1100)); // longer than it would have waited
    CHECK_FALSE(std::filesystem::exists(bench.path));
}

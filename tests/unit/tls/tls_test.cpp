// SPDX-License-Identifier: Apache-2.0
// Two ends on one computer, with certificates made as toolstack/tls/README.md tells it: what is carried, and
// who is not let in.
#include "toolstack/tls/endpoint.hpp"
#include "toolstack/tls/link.hpp"

#include <catch2/catch.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

using namespace vmm;
using namespace vmm::tls;

namespace
{

void sh(const std::string& directory, const std::string& command)
{
    const std::string line = "cd '" + directory + "' && { " + command + "; } >log 2>&1";
    INFO(line);
    REQUIRE(std::system(line.c_str()) == 0);
}

// Directories with the credentials of hosts.
class Hosts
{
  public:
    Hosts()
    {
        std::signal(SIGPIPE, SIG_IGN);
        char name[] = "/tmp/tls-test-XXXXXX";
        directory_  = ::mkdtemp(name);
        make_authority("ours");
        make_authority("theirs");
    }
    Hosts(const Hosts&)            = delete;
    Hosts& operator=(const Hosts&) = delete;
    ~Hosts() { std::filesystem::remove_all(directory_); }

    [[nodiscard]] std::string make(const std::string& host, const std::string& names,
                                   const std::string& authority = "ours") const
    {
        const std::string place = directory_ + "/" + host;
        std::filesystem::create_directory(place);
        sh(place, "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + host +
                      " -addext subjectAltName=" + names + " -keyout host.key -out host.csr && " +
                      "openssl x509 -req -in host.csr -copy_extensions copy -days 30 -CA ../" + authority +
                      ".pem -CAkey ../" + authority + ".key -out host.pem && cp ../ours.pem authority.pem");
        return place;
    }

  private:
    void make_authority(const std::string& name)
    {
        sh(directory_,
           "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=" + name +
               " -keyout " + name + ".key -out " + name + ".pem");
    }

    std::string directory_;
};

std::pair<Unique_fd, Unique_fd> make_pair()
{
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    return {Unique_fd(ends[0]), Unique_fd(ends[1])};
}

// One end: its handshake and then what it carries, on a thread. What is carried is at `plain`.
struct End {
    Unique_fd plain;
    Result<void> shaken;
    Result<void> carried;
    std::string peer;
    std::thread thread;

    void run(Result<Link> link, const Unique_fd& inner)
    {
        if (!link) {
            shaken = std::unexpected(link.error());
            return;
        }
        peer    = link->peer();
        carried = link->carry(inner.get(), inner.get());
    }
};

struct Two_ends {
    Two_ends(const std::string& here, const std::string& there, const std::string& address = "127.0.0.1")
    {
        auto listener = listen_at({"127.0.0.1", "0"}).value();
        sockaddr_in bound{};
        socklen_t size = sizeof bound;
        REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound), &size) == 0);
        const std::string port        = std::to_string(ntohs(bound.sin_port));
        auto [near_plain, near_inner] = make_pair();
        auto [far_plain, far_inner]   = make_pair();
        near.plain                    = std::move(near_plain);
        far.plain                     = std::move(far_plain);
        far.thread  = std::thread([this, there, fd = std::move(listener), inner = std::move(far_inner)] {
            const auto context = load_credentials(there).value();
            far.run(Link::accept(*context, accept_from(fd.get()).value()), inner);
        });
        near.thread = std::thread([this, here, address, port, inner = std::move(near_inner)] {
            const auto context = load_credentials(here).value();
            near.run(Link::connect(*context, connect_to({"127.0.0.1", port}).value(), address), inner);
        });
    }
    void join()
    {
        near.thread.join();
        far.thread.join();
    }
    // Of those that have ended.
    [[nodiscard]] std::string troubles() const
    {
        std::string all;
        for (const Result<void>* one : {&near.shaken, &near.carried, &far.shaken, &far.carried}) {
            all += *one ? "good; " : one->error().message + "; ";
        }
        return all;
    }

    End near;
    End far;
};

std::string read_all(int fd)
{
    std::string all;
    std::array<char, 65536> some{};
    for (ssize_t got = 0; (got = ::read(fd, some.data(), some.size())) > 0;) {
        all.append(some.data(), static_cast<std::size_t>(got));
    }
    return all;
}

// Waits for all of it; less comes only if the end does.
std::string read_some(int fd, std::size_t size)
{
    std::string some(size, '\0');
    some.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::recv(fd, some.data(), size, MSG_WAITALL))));
    return some;
}

bool write_all(int fd, std::string_view text)
{
    while (!text.empty()) {
        const ssize_t done = ::write(fd, text.data(), text.size());
        if (done <= 0) {
            return false;
        }
        text.remove_prefix(static_cast<std::size_t>(done));
    }
    return true;
}

std::string much(unsigned seed)
{
    std::string text(5'000'000, '\0');
    for (char& byte : text) {
        seed = seed * 1664525 + 1013904223;
        byte = static_cast<char>(seed >> 24);
    }
    return text;
}

} // namespace

TEST_CASE("where a host listens is read, and said again")
{
    const auto plain = parse_endpoint("tcp:alpha.example:7000");
    REQUIRE(plain.has_value());
    CHECK(plain->host == "alpha.example");
    CHECK(plain->port == "7000");
    const auto v6 = parse_endpoint("tcp:[fe80::1]:7000");
    REQUIRE(v6.has_value());
    CHECK(v6->host == "fe80::1");
    CHECK(v6->text() == "tcp:[fe80::1]:7000");
    CHECK(parse_endpoint("tcp::7000").value().host.empty());
    for (const char* wrong : {"alpha:7000", "tcp:alpha", "tcp:alpha:", "tcp:alpha:x", "tcp:alpha:65536",
                              "tcp:fe80::1:7000", ""}) {
        INFO(wrong);
        REQUIRE_FALSE(parse_endpoint(wrong).has_value());
        CHECK(parse_endpoint(wrong).error().message.find("is not tcp:HOST:PORT") != std::string::npos);
    }
}

TEST_CASE("what goes in at one end comes out at the other, to the last byte, both ways at once")
{
    const Hosts hosts;
    Two_ends ends(hosts.make("alpha", "DNS:alpha"), hosts.make("beta", "IP:127.0.0.1"));
    bool went_out  = false;
    bool went_back = false;
    std::string at_near;
    std::thread outward([&] { went_out = write_all(ends.near.plain.get(), much(1)); });
    std::thread back([&] { went_back = write_all(ends.far.plain.get(), much(2)); });
    std::thread reader([&] { at_near = read_some(ends.near.plain.get(), much(2).size()); });
    const std::string at_far = read_some(ends.far.plain.get(), much(1).size());
    for (std::thread* one : {&outward, &back, &reader}) {
        one->join();
    }
    ::shutdown(ends.near.plain.get(), SHUT_WR);
    ends.join();
    INFO(ends.troubles());
    CHECK(went_out);
    CHECK(went_back);
    CHECK((at_far == much(1))); // too much to print
    CHECK((at_near == much(2)));
    CHECK(ends.near.carried.has_value());
    CHECK(ends.far.carried.has_value());
    CHECK(ends.near.peer == "beta");
    CHECK(ends.far.peer == "alpha");
}

TEST_CASE("what an end has said before it goes arrives, though the other end is still sending")
{
    const Hosts hosts;
    Two_ends ends(hosts.make("alpha", "DNS:alpha"), hosts.make("beta", "IP:127.0.0.1"));
    std::thread outward([&] { write_all(ends.near.plain.get(), much(1)); }); // as much as gets through
    REQUIRE(write_all(ends.far.plain.get(), "no room here"));
    ends.far.plain.reset();
    CHECK(read_some(ends.near.plain.get(), 12) == "no room here");
    ::shutdown(ends.near.plain.get(), SHUT_RDWR);
    outward.join();
    ends.join();
}

TEST_CASE("hosts that the authority does not know, or knows by another name, are not spoken with")
{
    const Hosts hosts;
    std::string here    = hosts.make("alpha", "DNS:alpha");
    std::string there   = hosts.make("beta", "IP:127.0.0.1");
    std::string address = "127.0.0.1";
    SECTION("who listens has another name") { address = "gamma"; }
    SECTION("who listens is of another authority")
    {
        there = hosts.make("stranger", "IP:127.0.0.1", "theirs");
    }
    SECTION("who connects is of another authority") { here = hosts.make("stranger", "DNS:alpha", "theirs"); }
    Two_ends ends(here, there, address);
    static_cast<void>(write_all(ends.near.plain.get(), "a secret"));
    ::shutdown(ends.near.plain.get(), SHUT_WR);
    ends.join();
    INFO(ends.troubles());
    CHECK(read_all(ends.far.plain.get()).empty());
    CHECK_FALSE(ends.far.shaken.has_value());
    const bool near_knows = !ends.near.shaken.has_value() || !ends.near.carried.has_value();
    CHECK(near_knows);
}

TEST_CASE("who speaks no TLS is not listened to")
{
    const Hosts hosts;
    const auto context  = load_credentials(hosts.make("beta", "IP:127.0.0.1")).value();
    auto [ours, theirs] = make_pair();
    REQUIRE(write_all(theirs.get(), "GET / HTTP/1.0\r\n\r\n"));
    const auto link = Link::accept(*context, std::move(ours));
    REQUIRE_FALSE(link.has_value());
    CHECK(link.error().code == Errc::access_denied);
}

TEST_CASE("credentials that cannot be right are refused by name")
{
    const Hosts hosts;
    const std::string here = hosts.make("alpha", "DNS:alpha");
    std::string named;
    SECTION("a key that others can read")
    {
        REQUIRE(::chmod((here + "/host.key").c_str(), 0644) == 0);
        named = "chmod 600 " + here + "/host.key";
    }
    SECTION("another's key")
    {
        sh(here, "cp ../theirs.key host.key && chmod 600 host.key");
        named = here + "/host.key";
    }
    SECTION("no certificate")
    {
        std::ofstream(here + "/host.pem") << "nothing\n";
        named = here + "/host.pem";
    }
    SECTION("no authority")
    {
        std::filesystem::remove(here + "/authority.pem");
        named = here + "/authority.pem";
    }
    const auto context = load_credentials(here);
    REQUIRE_FALSE(context.has_value());
    CHECK(context.error().message.find(named) != std::string::npos);
}

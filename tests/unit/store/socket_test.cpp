// SPDX-License-Identifier: Apache-2.0
// Clients of the socket that behave badly, and the requests about domains stock tools send over it.
#include "toolstack/store/store_server.hpp"
#include "toolstack/store/wire.hpp"

#include <xen/io/xs_wire.h>

#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

using namespace vmm;
using namespace vmm::store;

namespace
{

struct Host {
    std::unique_ptr<Event_loop> loop     = std::move(*Event_loop::create());
    std::string socket                   = "/tmp/store-socket-" + std::to_string(getpid()) + ".socket";
    std::unique_ptr<Store_server> server = std::move(*Store_server::create(*loop, {socket, {}}));

    void turn(int turns = 20)
    {
        for (int i = 0; i < turns; ++i) {
            REQUIRE(loop->run_once(Event_loop::Duration::zero()));
        }
    }
};

struct Client {
    explicit Client(Host& made_on) : host(made_on), fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0))
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        host.socket.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    std::size_t send(std::string_view bytes) const
    {
        const ssize_t sent = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        return sent < 0 ? 0 : static_cast<std::size_t>(sent);
    }
    std::string receive() const
    {
        host.turn();
        std::string bytes;
        std::array<char, 65536> buffer{};
        for (ssize_t n = 0; (n = recv(fd.get(), buffer.data(), buffer.size(), 0)) > 0; host.turn(2)) {
            bytes.append(buffer.data(), static_cast<std::size_t>(n));
        }
        return bytes;
    }
    bool is_closed() const
    {
        host.turn();
        char byte = 0;
        return recv(fd.get(), &byte, 1, 0) == 0;
    }
    Host& host;
    Unique_fd fd;
};

std::string request(std::uint32_t type, std::string payload)
{
    return serialise({type, 1, 0, std::move(payload)});
}

} // namespace

TEST_CASE("a request in pieces, and several in one piece")
{
    Host host;
    const Client client(host);
    const std::string ask    = request(XS_GET_DOMAIN_PATH, join_strings({"3"}));
    const std::string answer = request(XS_GET_DOMAIN_PATH, join_strings({"/local/domain/3"}));
    for (const char byte : ask) {
        client.send({&byte, 1});
        host.turn(2);
    }
    CHECK(client.receive() == answer);
    client.send(ask + ask + ask.substr(0, 10));
    CHECK(client.receive() == answer + answer);
    client.send(ask.substr(10));
    CHECK(client.receive() == answer);
}

TEST_CASE("a message announced too long closes the connection, and only that one")
{
    Host host;
    const Client bad(host);
    const Client good(host);
    std::string header         = request(XS_READ, "");
    const std::uint32_t length = kPayloadMax + 1;
    std::memcpy(header.data() + 12, &length, sizeof length);
    bad.send(header);
    CHECK(bad.is_closed());
    good.send(request(XS_GET_DOMAIN_PATH, join_strings({"3"})));
    CHECK_FALSE(good.receive().empty());
}

TEST_CASE("a client that goes leaves no watch and no transaction")
{
    Host host;
    {
        const Client client(host);
        client.send(request(XS_WATCH, join_strings({"/a", "t"})) +
                    request(XS_TRANSACTION_START, join_strings({""})));
        CHECK_FALSE(client.receive().empty());
    }
    host.turn();
    REQUIRE(host.server->write("/a", "x")); // would be delivered to freed memory
    host.turn();
}

TEST_CASE(
    "a client that does not read is not served without end, gets all its answers later, and others go on")
{
    Host host;
    REQUIRE(host.server->write("/big", std::string(4000, 'x')));
    const Client lazy(host);
    const std::string ask = request(XS_READ, join_strings({"/big"}));
    std::size_t asked     = 0;
    for (int i = 0; i < 20000; ++i) {
        const std::size_t sent = lazy.send(ask);
        REQUIRE((sent == 0 || sent == ask.size()));
        asked += sent / ask.size();
        host.turn(1);
    }
    CHECK(asked < 19000); // the socket filled up because nobody read it any more
    const Client eager(host);
    eager.send(ask);
    CHECK(eager.receive() == request(XS_READ, std::string(4000, 'x')));
    std::size_t received = 0;
    for (std::string more = lazy.receive(); !more.empty(); more = lazy.receive()) {
        received += more.size();
    }
    CHECK(received == asked * (kHeaderBytes + 4000));
}

TEST_CASE("requests about domains reach the daemon's hooks, and its refusal reaches the client")
{
    Host host;
    const Client client(host);
    const auto introduce = request(XS_INTRODUCE, join_strings({"7", "1044476", "5"}));
    client.send(introduce);
    CHECK(client.receive() == request(XS_ERROR, join_strings({"ENOSYS"}))); // no hooks

    xenstore_domain_interface page{};
    struct Channel final : Ring_channel {
        explicit Channel(xenstore_domain_interface& p) : shared(p) {}
        xenstore_domain_interface* page() override { return &shared; }
        void notify() override {}
        xenstore_domain_interface& shared;
    };
    std::string calls;
    host.server->set_hooks({[&](Domid domid, std::uint64_t gfn, std::uint32_t port) -> Result<void> {
                                calls += "introduce " + to_string(domid) + " " + std::to_string(gfn) + " " +
                                         std::to_string(port) + ";";
                                if (domid == Domid(8)) {
                                    return fail(Errc::again, "not now");
                                }
                                return host.server->introduce(domid, std::make_unique<Channel>(page));
                            },
                            [&](Domid domid) { calls += "release " + to_string(domid) + ";"; },
                            [&](Domid domid) { calls += "resume " + to_string(domid) + ";"; }});
    client.send(introduce);
    CHECK(client.receive() == request(XS_INTRODUCE, join_strings({"OK"})));
    CHECK(host.server->is_introduced(Domid(7)));
    client.send(introduce); // again: its channel is renewed
    CHECK(client.receive() == request(XS_INTRODUCE, join_strings({"OK"})));
    client.send(request(XS_INTRODUCE, join_strings({"8", "1", "1"})));
    CHECK(client.receive() == request(XS_ERROR, join_strings({"EAGAIN"})));
    client.send(request(XS_RESUME, join_strings({"7"})) + request(XS_RELEASE, join_strings({"7"})));
    CHECK(client.receive() ==
          request(XS_RESUME, join_strings({"OK"})) + request(XS_RELEASE, join_strings({"OK"})));
    CHECK_FALSE(host.server->is_introduced(Domid(7)));
    CHECK(calls == "introduce 7 1044476 5;introduce 7 1044476 5;introduce 8 1 1;resume 7;release 7;");
}

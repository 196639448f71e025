// SPDX-License-Identifier: Apache-2.0
// The ring transport and the server behind it, against a page a friendly or hostile guest writes.
#include "toolstack/store/ring_transport.hpp"
#include "toolstack/store/store_server.hpp"
#include "toolstack/store/wire.hpp"

#include <xen/io/xs_wire.h>

#include <catch2/catch.hpp>

#include <unistd.h>

#include <cstring>
#include <functional>
#include <random>

using namespace vmm;
using namespace vmm::store;

namespace
{

// Guard bytes around the page show any access that leaves the rings.
struct Page {
    std::array<char, 64> before{};
    xenstore_domain_interface ring{};
    std::array<char, 64> after{};
    int notified                    = 0;
    // What another CPU does: called before each look the store takes at the page.
    std::function<void()> meanwhile = [] {};
};

class Fake_channel final : public Ring_channel
{
  public:
    Fake_channel(Page& page, bool* destroyed = nullptr) : page_(page), destroyed_(destroyed) {}
    ~Fake_channel() override
    {
        if (destroyed_ != nullptr) {
            *destroyed_ = true;
        }
    }
    xenstore_domain_interface* page() override
    {
        page_.meanwhile();
        return &page_.ring;
    }
    void notify() override { ++page_.notified; }

  private:
    Page& page_;
    bool* destroyed_;
};

// What a guest's driver does.
std::size_t guest_send(Page& page, std::string_view bytes)
{
    std::size_t sent = 0;
    while (sent < bytes.size() && page.ring.req_prod - page.ring.req_cons < XENSTORE_RING_SIZE) {
        page.ring.req[MASK_XENSTORE_IDX(page.ring.req_prod++)] = bytes[sent++];
    }
    return sent;
}

std::string guest_receive(Page& page)
{
    std::string bytes;
    while (page.ring.rsp_cons != page.ring.rsp_prod) {
        bytes += page.ring.rsp[MASK_XENSTORE_IDX(page.ring.rsp_cons++)];
    }
    return bytes;
}

std::string request(std::uint32_t type, std::string payload, std::uint32_t id = 1)
{
    return serialise({type, id, 0, std::move(payload)});
}

struct Host {
    std::unique_ptr<Event_loop> loop     = std::move(*Event_loop::create());
    std::string socket                   = "/tmp/store-ring-" + std::to_string(getpid()) + ".socket";
    std::unique_ptr<Store_server> server = std::move(*Store_server::create(*loop, {socket, {}}));

    void turn()
    {
        for (int i = 0; i < 20; ++i) {
            REQUIRE(loop->run_once(Event_loop::Duration::zero()));
        }
    }
    // Sends, lets the server work, takes the answer; as often as the ring needs it.
    std::string exchange(Page& page, std::string_view bytes)
    {
        std::string answer;
        for (int i = 0; i < 1000 && !bytes.empty(); ++i) {
            bytes.remove_prefix(guest_send(page, bytes));
            server->ring_event(Domid(3));
            turn();
            answer += guest_receive(page);
        }
        server->ring_event(Domid(3));
        turn();
        return answer + guest_receive(page);
    }
};

const std::string kOk = std::string("OK\0", 3);

} // namespace

TEST_CASE("bytes cross the ring unchanged, over the end of it and over the wrap of the indices")
{
    for (const std::uint32_t start : {0U, 1000U, 0xffffff00U}) {
        Page page;
        page.ring.req_cons = page.ring.req_prod = start;
        page.ring.rsp_cons = page.ring.rsp_prod = start;
        Ring_transport transport(std::make_unique<Fake_channel>(page));
        std::mt19937 random(start);
        std::string sent;
        std::string got;
        std::array<char, 700> buffer{};
        while (sent.size() < 20000) {
            std::string piece(random() % 900, '\0');
            std::ranges::generate(piece, [&] { return static_cast<char>(random()); });
            sent += piece.substr(0, guest_send(page, piece));
            const auto count = transport.read(buffer);
            REQUIRE(count);
            transport.acknowledge();
            got.append(buffer.data(), *count);
        }
        for (auto count = transport.read(buffer); *count > 0; count = transport.read(buffer)) {
            got.append(buffer.data(), *count);
        }
        CHECK(got == sent);
        std::string returned;
        std::string_view rest = got;
        while (!rest.empty()) {
            const auto count = transport.write(rest.substr(0, random() % 1500));
            REQUIRE(count);
            rest.remove_prefix(*count);
            returned += guest_receive(page);
        }
        CHECK(returned == sent);
    }
}

TEST_CASE("a full ring takes nothing and loses nothing")
{
    Page page;
    Ring_transport transport(std::make_unique<Fake_channel>(page));
    CHECK(*transport.write(std::string(3000, 'a')) == XENSTORE_RING_SIZE);
    CHECK(*transport.write("b") == 0);
    page.ring.rsp_cons += 10;
    CHECK(*transport.write(std::string(3000, 'b')) == 10);
    CHECK(guest_receive(page) == std::string(XENSTORE_RING_SIZE - 10, 'a') + std::string(10, 'b'));
}

TEST_CASE("indices that make no sense end the connection and touch nothing outside the rings")
{
    std::mt19937 random(7);
    std::array<char, 4096> buffer{};
    int refused = 0;
    for (int i = 0; i < 2000; ++i) {
        Page page;
        Ring_transport transport(std::make_unique<Fake_channel>(page));
        page.ring.req_prod = random();
        page.ring.req_cons = random(); // ours: what the guest puts there is not looked at
        page.ring.rsp_cons = random();
        page.ring.rsp_prod = random();
        const auto read    = transport.read(buffer);
        const auto written = transport.write(std::string(2000, 'x'));
        refused += read ? 0 : 1;
        CHECK(read.has_value() == (page.ring.req_prod <= XENSTORE_RING_SIZE));
        CHECK((!written || *written <= XENSTORE_RING_SIZE));
        CHECK(page.before == std::array<char, 64>{});
        CHECK(page.after == std::array<char, 64>{});
    }
    CHECK(refused > 1900);
}

TEST_CASE("a domain is served over its ring")
{
    Host host;
    Page page;
    REQUIRE(host.server->write("/local/domain/3/name", "guest"));
    REQUIRE(host.server->set_permissions("/local/domain/3", {{Domid(3), Access::none}}));
    REQUIRE(host.server->set_permissions("/local/domain/3/name",
                                         {{Domid(0), Access::none}, {Domid(3), Access::read}}));
    REQUIRE(host.server->introduce(Domid(3), std::make_unique<Fake_channel>(page)));
    CHECK(page.ring.server_features != 0);
    CHECK(host.exchange(page, request(XS_READ, join_strings({"name"}))) == request(XS_READ, "guest"));
    CHECK(page.notified > 0);
    CHECK(host.exchange(page, request(XS_WRITE, join_strings({"name"}) + "x")) ==
          request(XS_ERROR, join_strings({"EACCES"})));
    const std::string big(1500, 'v'); // more than the ring holds
    CHECK(host.exchange(page, request(XS_WRITE, join_strings({"data"}) + big)) == request(XS_WRITE, kOk));
    CHECK(host.exchange(page, request(XS_READ, join_strings({"data"}))) == request(XS_READ, big));
    CHECK(host.server->read("/local/domain/3/data") == big);
}

TEST_CASE("a request in single bytes is put together")
{
    Host host;
    Page page;
    REQUIRE(host.server->introduce(Domid(3), std::make_unique<Fake_channel>(page)));
    const std::string bytes = request(XS_GET_DOMAIN_PATH, join_strings({"3"}));
    for (const char byte : bytes) {
        CHECK(guest_receive(page).empty());
        guest_send(page, std::string_view(&byte, 1));
        host.server->ring_event(Domid(3));
    }
    CHECK(guest_receive(page) == request(XS_GET_DOMAIN_PATH, join_strings({"/local/domain/3"})));
}

// A guest that sends an event only when the protocol asks for one, which is how Linux's xb_write() and
// xb_read() decide it, and that acts while the store is at work.
struct Sparing_guest {
    Page page;
    std::string answer;
    bool event = false;

    void send(std::string_view bytes)
    {
        const std::uint32_t before = page.ring.req_prod;
        guest_send(page, bytes);
        event = event || (!bytes.empty() && before == page.ring.req_cons);
    }
    void receive()
    {
        const std::uint32_t before = page.ring.rsp_cons;
        answer += guest_receive(page);
        event = event || page.ring.rsp_prod - before == XENSTORE_RING_SIZE;
    }
};

TEST_CASE("a guest that tells only what it must is served, whatever the store is just doing")
{
    const std::string big(3000, 'v');
    const std::string ask         = request(XS_READ, join_strings({"data"}));
    constexpr std::size_t kHeader = sizeof(xsd_sockmsg);
    for (unsigned moment = 0; moment < 60; ++moment) {
        for (const bool in_two_parts : {true, false}) {
            CAPTURE(moment, in_two_parts);
            Host host;
            Sparing_guest guest;
            REQUIRE(host.server->write("/local/domain/3/data", big));
            REQUIRE(host.server->set_permissions("/local/domain/3/data", {{Domid(3), Access::none}}));
            REQUIRE(host.server->introduce(Domid(3), std::make_unique<Fake_channel>(guest.page)));
            host.turn();
            std::string_view rest = ask;
            guest.send(rest.substr(0, in_two_parts ? kHeader : rest.size()));
            rest.remove_prefix(in_two_parts ? kHeader : rest.size());
            unsigned looks       = 0;
            guest.page.meanwhile = [&] {
                if (looks++ == moment) {
                    guest.receive();
                    guest.send(std::exchange(rest, {}));
                }
            };
            while (std::exchange(guest.event, false)) {
                host.server->ring_event(Domid(3));
                host.turn();
                guest.receive();
                guest.send(std::exchange(rest, {}));
            }
            CHECK(guest.answer == request(XS_READ, big));
        }
    }
}

TEST_CASE("requests already on the ring when the domain is introduced are served")
{
    Host host;
    Page page;
    guest_send(page, request(XS_GET_DOMAIN_PATH, join_strings({"3"})));
    REQUIRE(host.server->introduce(Domid(3), std::make_unique<Fake_channel>(page)));
    host.turn();
    CHECK(guest_receive(page) == request(XS_GET_DOMAIN_PATH, join_strings({"/local/domain/3"})));
}

TEST_CASE("a message announced too long or broken indices stop the domain, until it reconnects")
{
    Host host;
    Page page;
    REQUIRE(host.server->introduce(Domid(3), std::make_unique<Fake_channel>(page)));
    const std::string good   = request(XS_GET_DOMAIN_PATH, join_strings({"3"}));
    const std::string answer = request(XS_GET_DOMAIN_PATH, join_strings({"/local/domain/3"}));
    SECTION("too long")
    {
        std::string bad            = request(XS_READ, "");
        const std::uint32_t length = 5000;
        std::memcpy(bad.data() + 12, &length, sizeof length);
        CHECK(host.exchange(page, bad + good).empty());
        CHECK(page.ring.error == XENSTORE_ERROR_PROTO);
    }
    SECTION("indices")
    {
        page.ring.req_prod += 5000;
        host.server->ring_event(Domid(3));
        CHECK(page.ring.error == XENSTORE_ERROR_RINGIDX);
    }
    CHECK(host.server->is_introduced(Domid(3)));
    page.ring.connection = XENSTORE_RECONNECT;
    host.server->ring_event(Domid(3));
    CHECK(page.ring.connection == XENSTORE_CONNECTED);
    CHECK(page.ring.error == XENSTORE_ERROR_NONE);
    CHECK(host.exchange(page, good) == answer);
}

TEST_CASE("a guest that never takes its replies is not served on, and others are")
{
    Host host;
    Page lazy;
    Page eager;
    REQUIRE(host.server->introduce(Domid(4), std::make_unique<Fake_channel>(lazy)));
    REQUIRE(host.server->introduce(Domid(3), std::make_unique<Fake_channel>(eager)));
    const std::string ask = request(XS_GET_DOMAIN_PATH, join_strings({"3"}));
    std::size_t accepted  = 0;
    for (int i = 0; i < 1000; ++i) {
        accepted += guest_send(lazy, ask);
        host.server->ring_event(Domid(4));
        host.turn();
    }
    // One ring of replies, the queue of 20, and one ring of requests is all it gets.
    CHECK(accepted < 3 * XENSTORE_RING_SIZE);
    CHECK_FALSE(host.exchange(eager, ask).empty());
}

TEST_CASE("a guest that keeps its ring full gets its turn and no more")
{
    Host host;
    Page page;
    REQUIRE(host.server->introduce(Domid(3), std::make_unique<Fake_channel>(page)));
    const std::string unknown = request(999, ""); // the shortest request with the shortest answer
    std::string many;
    for (int i = 0; i < 64; ++i) {
        many += unknown;
    }
    REQUIRE(guest_send(page, many) == XENSTORE_RING_SIZE);
    host.server->ring_event(Domid(3));
    CHECK(page.ring.req_cons > 0);
    CHECK(page.ring.req_cons < XENSTORE_RING_SIZE);
    host.turn(); // the rest comes on later turns, without another event
    CHECK((page.ring.req_cons == XENSTORE_RING_SIZE || page.ring.rsp_prod == XENSTORE_RING_SIZE));
}

TEST_CASE("introduce and release are announced, and release drops everything of the domain")
{
    Host host;
    Page page;
    bool destroyed = false;
    std::vector<std::string> seen;
    const auto note = [&](const std::string& path) { seen.push_back(path); };
    REQUIRE(host.server->watch("@introduceDomain", note));
    REQUIRE(host.server->watch("@releaseDomain", note, 1));
    host.turn();
    seen.clear();
    REQUIRE(host.server->mkdir("/home"));
    REQUIRE(host.server->set_permissions("/home", {{Domid(3), Access::none}}));
    REQUIRE(host.server->introduce(Domid(3), std::make_unique<Fake_channel>(page, &destroyed)));
    CHECK(host.server->is_introduced(Domid(3)));
    host.exchange(page, request(XS_WATCH, join_strings({"/home", "t"})) +
                            request(XS_TRANSACTION_START, join_strings({""})));
    host.server->release(Domid(3));
    CHECK_FALSE(host.server->is_introduced(Domid(3)));
    CHECK(destroyed);
    CHECK_FALSE(host.server->exists("/home"));
    REQUIRE(host.server->mkdir("/home")); // would fire the dropped watch
    host.turn();
    CHECK(seen == std::vector<std::string>{"@introduceDomain", "@releaseDomain/3"});
    host.server->release(Domid(3)); // not introduced any more: nothing to announce
    host.turn();
    CHECK(seen.size() == 2);
}

TEST_CASE("introducing a domain again starts its connection afresh")
{
    Host host;
    Page page;
    REQUIRE(host.server->introduce(Domid(3), std::make_unique<Fake_channel>(page)));
    host.exchange(page, request(XS_WATCH, join_strings({"@x", "t"})));
    guest_send(page, "half a request");
    host.server->ring_event(Domid(3));
    REQUIRE(host.server->introduce(Domid(3), std::make_unique<Fake_channel>(page)));
    CHECK(page.ring.req_prod == 0);
    const std::string again = host.exchange(page, request(XS_WATCH, join_strings({"@x", "t"})));
    CHECK(again == request(XS_WATCH, kOk) + serialise({XS_WATCH_EVENT, 0, 0, join_strings({"@x", "t"})}));
}

TEST_CASE("dom0 over its ring is privileged")
{
    Host host;
    Page page;
    REQUIRE(host.server->introduce(kDom0, std::make_unique<Fake_channel>(page)));
    host.turn();
    CHECK(page.notified == 1); // its kernel waits for this, having asked for nothing yet
    guest_send(page, request(XS_WRITE, join_strings({"/anywhere"}) + "x"));
    host.server->ring_event(kDom0);
    CHECK(host.server->read("/anywhere") == "x");
    CHECK_FALSE(host.server->introduce(Domid(0x7ff0), std::make_unique<Fake_channel>(page)));
    CHECK_FALSE(host.server->introduce(Domid(9), nullptr));
}

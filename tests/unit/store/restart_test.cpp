// SPDX-License-Identifier: Apache-2.0
// A server dies and another takes its place: for the guests on their rings nothing may have happened, at
// whatever moment it was.
#include "toolstack/store/store_server.hpp"
#include "toolstack/store/wire.hpp"

#include <xen/io/xs_wire.h>

#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <limits>

using namespace vmm;
using namespace vmm::store;

namespace
{

constexpr Domid kGuest{3};

struct Killed {
};

// The guest's side: a page, and a driver with requests still to send that notes all it receives.
struct Guest {
    xenstore_domain_interface ring{};
    std::string to_send;
    std::string received;

    void run()
    {
        while (!to_send.empty() && ring.req_prod - ring.req_cons < XENSTORE_RING_SIZE) {
            ring.req[MASK_XENSTORE_IDX(ring.req_prod++)] = to_send.front();
            to_send.erase(0, 1);
        }
        while (ring.rsp_cons != ring.rsp_prod) {
            received += ring.rsp[MASK_XENSTORE_IDX(ring.rsp_cons++)];
        }
    }
};

const std::string kDirectory = "/tmp/store-restart-" + std::to_string(getpid());
const std::string kJournal   = kDirectory + "/journal";
const std::string kCopy      = kDirectory + "/copy";

// The process is killed when the page is touched for the `left`th time: what is on file and on the page at
// that moment is all that a successor has.
struct Fate {
    std::size_t left = std::numeric_limits<std::size_t>::max();
    xenstore_domain_interface page_left{};
};

class Channel final : public Ring_channel
{
  public:
    Channel(Guest& guest, Fate& fate) : guest_(guest), fate_(fate) {}
    xenstore_domain_interface* page() override
    {
        if (--fate_.left == 0) {
            std::filesystem::copy_file(kJournal, kCopy, std::filesystem::copy_options::overwrite_existing);
            fate_.page_left = guest_.ring;
            throw Killed();
        }
        return &guest_.ring;
    }
    void notify() override {}

  private:
    Guest& guest_;
    Fate& fate_;
};

struct Host {
    explicit Host(const std::string& journal = kJournal)
    {
        std::filesystem::create_directories(kDirectory);
        loop   = std::move(*Event_loop::create());
        server = std::move(*Store_server::create(*loop, {journal + ".socket", {}, journal}));
    }
    std::unique_ptr<Event_loop> loop;
    std::unique_ptr<Store_server> server;

    void turn(Event_loop::Duration time = {})
    {
        const auto end = Event_loop::Clock::now() + time;
        do {
            loop->run_once(Event_loop::Duration::zero()).value();
        } while (Event_loop::Clock::now() < end);
    }
    void exchange(Guest& guest)
    {
        for (int quiet = 0; quiet < 3;) {
            const std::size_t before = guest.to_send.size() + guest.received.size();
            guest.run();
            server->ring_event(kGuest);
            turn();
            guest.run();
            quiet = guest.to_send.size() + guest.received.size() == before ? quiet + 1 : 0;
        }
    }
};

struct Clean {
    Clean() { std::filesystem::remove_all(kDirectory); }
    ~Clean() { std::filesystem::remove_all(kDirectory); }
};

std::string request(std::uint32_t type, std::initializer_list<std::string_view> strings,
                    std::string_view after = "")
{
    static std::uint32_t id = 0;
    return serialise({type, ++id, 0, join_strings(strings).append(after)});
}

// Each request's effect shows whether it was carried out never, once or twice: a second watch is refused, a
// second unwatch too, and every write fires an event.
std::string script()
{
    std::string all = request(XS_WATCH, {"data", "token"});
    for (const char* name : {"a", "b", "c"}) {
        all += request(XS_WRITE, {std::string("data/") + name}, "value");
        all += request(XS_READ, {std::string("data/") + name});
    }
    all += request(XS_WRITE, {"data/long"}, std::string(1900, 'v')); // longer than the ring
    all += request(XS_READ, {"data/long"});
    all += request(XS_RM, {"data/a"});
    all += request(XS_DIRECTORY, {"data"});
    all += request(XS_UNWATCH, {"data", "token"});
    all += request(XS_WRITE, {"data/d"}, "unseen");
    return all;
}

void furnish(Host& host)
{
    REQUIRE(host.server->mkdir("/local/domain/3/data"));
    REQUIRE(host.server->set_permissions("/local/domain/3/data", {{kGuest, Access::none}}));
    host.turn();
}

std::string tree(Store_server& server, const std::string& path = "/")
{
    std::string text                     = path + "=" + server.read(path).value() + ";";
    const std::vector<std::string> names = server.list(path).value();
    for (const std::string& name : names) {
        text += tree(server, (path == "/" ? "" : path) + "/" + name);
    }
    return text;
}

} // namespace

TEST_CASE("killed at any moment: every request is carried out and answered once")
{
    const std::string requests = script();
    std::string expected;
    std::string expected_tree;
    std::size_t touches = 0;
    {
        const Clean clean;
        Fate fate;
        Guest guest{{}, requests, {}};
        Host host;
        furnish(host);
        REQUIRE(host.server->introduce(kGuest, std::make_unique<Channel>(guest, fate)));
        host.exchange(guest);
        expected      = guest.received;
        expected_tree = tree(*host.server);
        touches       = std::numeric_limits<std::size_t>::max() - fate.left;
    }
    REQUIRE(expected.size() > 2000);
    REQUIRE(touches > 200);
    for (std::size_t moment = 1; moment < touches; ++moment) {
        const Clean clean;
        Fate fate;
        Guest guest{{}, requests, {}};
        auto host = std::make_unique<Host>();
        furnish(*host);
        fate.left = moment;
        try {
            host->server->introduce(kGuest, std::make_unique<Channel>(guest, fate)).value();
            host->exchange(guest);
        } catch (const Killed&) {
        }
        guest.ring = fate.page_left;
        host.reset();
        Host next(kCopy);
        REQUIRE(next.server->introduce(kGuest, std::make_unique<Channel>(guest, fate)));
        next.exchange(guest);
        INFO("killed at touch " << moment << " of " << touches);
        REQUIRE(guest.received == expected);
        REQUIRE(tree(*next.server) == expected_tree);
    }
}

TEST_CASE("a successor knows nodes, permissions, targets, and who is introduced")
{
    const Clean clean;
    Fate fate;
    Guest guest;
    std::string before;
    {
        Host host;
        furnish(host);
        REQUIRE(host.server->write("/a/b", "x"));
        REQUIRE(host.server->set_permissions("/a", {{Domid(5), Access::read}, {kGuest, Access::both}}));
        REQUIRE(
            host.server->set_permissions("@releaseDomain", {{kDom0, Access::none}, {kGuest, Access::read}}));
        REQUIRE(host.server->introduce(kGuest, std::make_unique<Channel>(guest, fate)));
        before = tree(*host.server);
    }
    Host host;
    CHECK(tree(*host.server) == before);
    CHECK(host.server->permissions("/a").value() ==
          Permissions{{Domid(5), Access::read}, {kGuest, Access::both}});
    CHECK(host.server->permissions("@releaseDomain").value().size() == 2);
    CHECK(host.server->introduced() == std::vector{kGuest});
    // What it misses until its channel is there waits for it; the end of it is announced like any other.
    std::vector<std::string> seen;
    REQUIRE(host.server->watch(
        "@releaseDomain", [&](const std::string& path) { seen.push_back(path); }, 1));
    host.turn();
    host.server->release(kGuest);
    host.turn();
    CHECK(seen.back() == "@releaseDomain/3");
    CHECK_FALSE(host.server->exists("/local/domain/3/data"));
    CHECK(host.server->introduced().empty());
}

TEST_CASE("an introduction is announced once, and events wait for a domain whose channel is not there yet")
{
    const Clean clean;
    Fate fate;
    Guest guest;
    guest.to_send = request(XS_WATCH, {"data", "t"});
    {
        Host host;
        furnish(host);
        REQUIRE(host.server->introduce(kGuest, std::make_unique<Channel>(guest, fate)));
        host.exchange(guest);
    }
    guest.received.clear();
    Host host;
    std::vector<std::string> seen;
    REQUIRE(host.server->watch("@introduceDomain", [&](const std::string& path) { seen.push_back(path); }));
    REQUIRE(host.server->write("/local/domain/3/data/x", "1"));
    host.turn();
    seen.clear();
    REQUIRE(host.server->introduce(kGuest, std::make_unique<Channel>(guest, fate)));
    host.exchange(guest);
    CHECK(seen.empty());
    CHECK(guest.received == serialise({XS_WATCH_EVENT, 0, 0, join_strings({"data/x", "t"})}));
}

TEST_CASE("a page that does not fit the journal costs what was under way, not the connection")
{
    const Clean clean;
    Fate fate;
    Guest guest;
    guest.to_send = request(XS_WATCH, {"data", "t"});
    {
        Host host;
        furnish(host);
        REQUIRE(host.server->introduce(kGuest, std::make_unique<Channel>(guest, fate)));
        host.exchange(guest);
    }
    guest.ring.req_cons = guest.ring.req_prod = guest.ring.rsp_cons = guest.ring.rsp_prod = 77777;
    guest.received.clear();
    Host host;
    REQUIRE(host.server->introduce(kGuest, std::make_unique<Channel>(guest, fate)));
    guest.to_send = request(XS_WRITE, {"data/x"}, "1");
    host.exchange(guest);
    CHECK(guest.received.size() > 2 * sizeof(xsd_sockmsg)); // the answer and the event of the kept watch
    CHECK(host.server->read("/local/domain/3/data/x") == "1");
}

TEST_CASE("a guest that had broken the protocol stays shut out until it reconnects")
{
    const Clean clean;
    Fate fate;
    Guest guest;
    {
        Host host;
        furnish(host);
        REQUIRE(host.server->introduce(kGuest, std::make_unique<Channel>(guest, fate)));
        guest.ring.req_prod += 5000;
        host.server->ring_event(kGuest);
        CHECK(guest.ring.error == XENSTORE_ERROR_RINGIDX);
    }
    Host host;
    REQUIRE(host.server->introduce(kGuest, std::make_unique<Channel>(guest, fate)));
    host.turn();
    CHECK(guest.ring.rsp_prod == guest.ring.rsp_cons);
    guest.ring.connection = XENSTORE_RECONNECT;
    host.server->ring_event(kGuest);
    CHECK(guest.ring.connection == XENSTORE_CONNECTED);
    guest.to_send = request(XS_READ, {"data"});
    host.exchange(guest);
    CHECK(guest.received.size() == sizeof(xsd_sockmsg));
}

TEST_CASE("a full disk: the store goes on, and the journal is complete again once there is room")
{
    const Clean clean;
    Host host;
    furnish(host);
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    rlimit none   = old;
    none.rlim_cur = std::filesystem::file_size(kJournal);
    setrlimit(RLIMIT_FSIZE, &none);
    REQUIRE(host.server->write("/a", "1"));
    host.turn();
    REQUIRE(host.server->write("/b", "2"));
    host.turn();
    CHECK(host.server->read("/b") == "2");
    setrlimit(RLIMIT_FSIZE, &old);
    host.turn(std::chrono::milliseconds(1200));
    REQUIRE(host.server->write("/c", "3"));
    host.turn();
    std::filesystem::copy_file(kJournal, kCopy);
    Host next(kCopy);
    CHECK(next.server->read("/a") == "1");
    CHECK(next.server->read("/b") == "2");
    CHECK(next.server->read("/c") == "3");
}

TEST_CASE("the journal stays of bounded size")
{
    const Clean clean;
    auto host = std::make_unique<Host>();
    furnish(*host);
    for (int i = 0; i < 3000; ++i) {
        REQUIRE(host->server->write("/a", std::string(1000, 'x') + std::to_string(i)));
        host->turn();
        REQUIRE(std::filesystem::file_size(kJournal) < 800'000);
    }
    host.reset();
    const Host next;
    CHECK(next.server->read("/a")->ends_with("2999"));
}

TEST_CASE("a damaged journal is set aside and what of it is good is used")
{
    const Clean clean;
    {
        Host host;
        furnish(host);
        REQUIRE(host.server->write("/good", "1"));
        host.turn();
        const auto size = std::filesystem::file_size(kJournal);
        REQUIRE(host.server->write("/lost", "2"));
        host.turn();
        std::filesystem::copy_file(kJournal, kCopy);
        FILE* file = std::fopen(kCopy.c_str(), "r+");
        std::fseek(file, static_cast<long>(size) + 12, SEEK_SET);
        std::fputc('!', file);
        std::fclose(file);
    }
    Host next(kCopy);
    CHECK(next.server->read("/good") == "1");
    CHECK_FALSE(next.server->exists("/lost"));
    CHECK(std::filesystem::exists(kCopy + ".bad"));
}

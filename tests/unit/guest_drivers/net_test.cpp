// SPDX-License-Identifier: Apache-2.0
//
// The network frontend against a backend that this test plays, well-behaved and not.
#include "fake_world.hpp"
#include "guest/net.hpp"
#include "protocol/back_ring.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

using namespace vmm::guest;
using vmm::protocol::Back_ring;

namespace
{

constexpr const char* kBack = "/local/domain/0/backend/vif/5/0";

// The backend's side of one interface: what it would find by the nodes.
struct Bench {
    explicit Bench(Net::Checksum checksum = Net::Checksum::filled)
        : memory(std::make_unique<Net_memory>()), net(*memory, checksum)
    {
        fake::reset();
        own("backend", kBack);
        own("backend-id", "0");
        own("mac", "00:16:3e:00:01:02");
        back("state", "2");
        back("feature-rx-copy", "1");
    }

    static void own(const std::string& node, const std::string& value)
    {
        fake::world().nodes["device/vif/0/" + node] = value;
    }
    static void back(const std::string& node, const std::string& value)
    {
        fake::world().nodes[std::string(kBack) + "/" + node] = value;
    }
    static std::string said(const std::string& node) { return fake::world().nodes["device/vif/0/" + node]; }

    void connect()
    {
        REQUIRE(net.open(store, "device/vif/0"));
        REQUIRE(net.step() == Front_phase::offered);
        back("state", "4");
        REQUIRE(net.step() == Front_phase::running);
        tx.emplace(std::as_writable_bytes(std::span(memory->tx_ring.bytes)), sizeof(netif_tx_request));
        rx.emplace(std::as_writable_bytes(std::span(memory->rx_ring.bytes)), sizeof(netif_rx_response));
    }
    netif_rx_request wanted()
    {
        netif_rx_request request{};
        REQUIRE(rx->waiting().value() > 0);
        rx->take(std::as_writable_bytes(std::span(&request, 1)));
        return request;
    }
    void deliver(const netif_rx_response& response)
    {
        rx->answer(std::as_bytes(std::span(&response, 1)));
        (void)rx->push();
    }
    u8* page_of(u32 ref) { return const_cast<u8*>(static_cast<const u8*>(fake::world().granted.at(ref))); }

    Store store;
    std::unique_ptr<Net_memory> memory;
    Net net;
    std::optional<Back_ring> tx;
    std::optional<Back_ring> rx;
    u8 buffer[kPageSize];
};

netif_rx_response frame(u16 id, s16 length, u16 offset = 0, u16 flags = 0)
{
    return {id, offset, flags, length};
}

} // namespace

TEST_CASE("a network interface says what it offers, and in which state")
{
    Bench bench;
    bench.connect();
    CHECK(Bench::said("state") == "4");
    CHECK(Bench::said("request-rx-copy") == "1");
    CHECK(Bench::said("feature-no-csum-offload") == "1");
    CHECK(Bench::said("feature-sg") == "0");
    CHECK(bench.net.mac() == Mac{0x00, 0x16, 0x3e, 0x00, 0x01, 0x02});
    CHECK(fake::world().granted.size() == 2 + 2 * kNetBuffers);
    Bench blank(Net::Checksum::may_be_blank);
    blank.connect();
    CHECK(Bench::said("feature-no-csum-offload") == "0");
}

TEST_CASE("frames go out and come in as they are, in the face of every length")
{
    Bench bench;
    bench.connect();
    std::mt19937 random(3);
    for (u32 round = 0; round < 3000; ++round) {
        std::vector<u8> data(Net::kFrameMin + random() % (Net::kFrameMax - Net::kFrameMin + 1));
        for (u8& byte : data)
            byte = static_cast<u8>(random());
        REQUIRE(bench.net.send(data));
        bench.net.flush();
        netif_tx_request request{};
        REQUIRE(bench.tx->waiting() == 1u);
        bench.tx->take(std::as_writable_bytes(std::span(&request, 1)));
        REQUIRE(request.size == data.size());
        REQUIRE(std::memcmp(bench.page_of(request.gref) + request.offset, data.data(), data.size()) == 0);
        const netif_tx_response sent{request.id, NETIF_RSP_OKAY};
        bench.tx->answer(std::as_bytes(std::span(&sent, 1)));
        (void)bench.tx->push();

        const netif_rx_request place = bench.wanted();
        std::memcpy(bench.page_of(place.gref) + 64, data.data(), data.size());
        bench.deliver(frame(place.id, static_cast<s16>(data.size()), 64));
        REQUIRE(bench.net.receive(bench.buffer).length == data.size());
        REQUIRE(std::memcmp(bench.buffer, data.data(), data.size()) == 0);
        REQUIRE(bench.net.receive(bench.buffer).length == 0);
    }
    CHECK(bench.net.writable());
    CHECK(bench.net.counters().sent == 3000);
    CHECK(bench.net.counters().refused == 0);
}

TEST_CASE("the ring for sending fills up and empties again")
{
    Bench bench;
    bench.connect();
    const std::vector<u8> data(60);
    u32 taken = 0;
    while (bench.net.send(data))
        ++taken;
    CHECK(taken == kNetBuffers);
    CHECK_FALSE(bench.net.writable());
    bench.net.flush();
    netif_tx_request request{};
    bench.tx->take(std::as_writable_bytes(std::span(&request, 1)));
    const netif_tx_response lost{request.id, NETIF_RSP_DROPPED};
    bench.tx->answer(std::as_bytes(std::span(&lost, 1)));
    (void)bench.tx->push();
    CHECK(bench.net.writable());
    CHECK(bench.net.counters().dropped == 1);
}

TEST_CASE("no frame by its length is not sent")
{
    Bench bench;
    std::vector<u8> data(Net::kFrameMax + 1);
    CHECK_FALSE(bench.net.send(std::span(data).first(60))); // not running
    bench.connect();
    CHECK_FALSE(bench.net.send(data));
    CHECK_FALSE(bench.net.send(std::span(data).first(Net::kFrameMin - 1)));
    CHECK(bench.net.send(std::span(data).first(Net::kFrameMax)));
}

TEST_CASE("what was not offered, and lengths that leave the page, are refused; the buffer is used again")
{
    Bench bench;
    bench.connect();
    const auto refused = [&](s16 length, u16 offset, u16 flags) {
        const u64 before = bench.net.counters().refused;
        bench.deliver(frame(bench.wanted().id, length, offset, flags));
        CHECK(bench.net.receive(bench.buffer).length == 0);
        CHECK(bench.net.counters().refused == before + 1);
        CHECK(bench.net.running());
    };
    refused(60, 0, NETRXF_csum_blank);
    refused(60, 0, NETRXF_more_data);
    refused(60, 0, NETRXF_extra_info);
    refused(60, 0, NETRXF_gso_prefix);
    refused(60, 4096 - 59, 0);
    refused(60, 0xffff, 0);
    refused(0x7fff, 0, 0);
    refused(13, 0, 0);
    refused(0, 0, 0);
    refused(NETIF_RSP_DROPPED, 0, 0);
    refused(-0x8000, 0, 0);
    bench.deliver(frame(bench.wanted().id, 60, 4096 - 60, NETRXF_data_validated));
    CHECK(bench.net.receive(bench.buffer).length == 60);
    // A frame that does not fit where the program wants it.
    bench.deliver(frame(bench.wanted().id, 100));
    CHECK(bench.net.receive(std::span(bench.buffer).first(99)).length == 0);
}

TEST_CASE("blank checksums arrive where they were offered, and are said")
{
    Bench bench(Net::Checksum::may_be_blank);
    bench.connect();
    bench.deliver(frame(bench.wanted().id, 60, 0, NETRXF_csum_blank | NETRXF_data_validated));
    const Net::Received got = bench.net.receive(bench.buffer);
    CHECK(got.length == 60);
    CHECK(got.blank_checksum);
}

TEST_CASE("a backend whose answers make no sense is given up")
{
    Bench bench;
    bench.connect();
    const std::vector<u8> data(60);
    SECTION("a frame in a buffer that is none") { bench.deliver(frame(kNetBuffers, 60)); }
    SECTION("a frame in a buffer far beyond") { bench.deliver(frame(0xffff, 60)); }
    SECTION("one frame sent, answered twice")
    {
        REQUIRE(bench.net.send(data));
        REQUIRE(bench.net.send(data));
        bench.net.flush();
        netif_tx_request request{};
        for (int i = 0; i < 2; ++i) {
            if (i == 0)
                bench.tx->take(std::as_writable_bytes(std::span(&request, 1)));
            const netif_tx_response sent{request.id, NETIF_RSP_OKAY};
            bench.tx->answer(std::as_bytes(std::span(&sent, 1)));
        }
        (void)bench.tx->push();
        CHECK_FALSE(bench.net.writable());
    }
    SECTION("a producer that is ahead of all requests")
    {
        bench.memory->rx_ring.as<vmm::protocol::Ring_head>()->response_producer = 1000;
    }
    SECTION("an answer for what was never sent")
    {
        REQUIRE(bench.net.send(data));
        bench.net.flush();
        const netif_tx_response odd{77, NETIF_RSP_OKAY};
        bench.tx->answer(std::as_bytes(std::span(&odd, 1)));
        (void)bench.tx->push();
        CHECK_FALSE(bench.net.writable());
    }
    SECTION("a producer for sending that is ahead")
    {
        bench.memory->tx_ring.as<vmm::protocol::Ring_head>()->response_producer = 1;
        CHECK_FALSE(bench.net.send(data));
    }
    CHECK(bench.net.receive(bench.buffer).length == 0);
    CHECK_FALSE(bench.net.readable());
    CHECK(bench.net.phase() == Front_phase::leaving);
    CHECK(Bench::said("state") == "6");
}

TEST_CASE("pages come back when the backend lets go, and not before")
{
    Bench bench;
    bench.connect();
    bench.back("state", "5");
    CHECK(bench.net.step() == Front_phase::leaving);
    CHECK(Bench::said("state") == "6");
    CHECK(fake::world().granted.size() == 2 + 2 * kNetBuffers);
    fake::world().in_use = {fake::world().granted.begin()->first};
    bench.back("state", "6");
    CHECK(bench.net.step() == Front_phase::leaving);
    CHECK(bench.net.held() == 1);
    fake::world().in_use.clear();
    CHECK(bench.net.step() == Front_phase::closed);
    CHECK(fake::world().granted.empty());
    CHECK(fake::world().ports.empty());

    bench.net.reopen();
    CHECK(Bench::said("state") == "1");
    CHECK(bench.net.step() == Front_phase::waiting);
    bench.back("state", "2");
    CHECK(bench.net.step() == Front_phase::offered);
    bench.back("state", "4");
    CHECK(bench.net.step() == Front_phase::running);
    CHECK(bench.net.send(std::vector<u8>(60)));
}

TEST_CASE("a backend that dies and one that comes in its place")
{
    Bench bench;
    bench.connect();
    SECTION("a new one")
    {
        bench.back("state", "2");
        CHECK(bench.net.step() == Front_phase::offered);
        CHECK(fake::world().granted.size() == 2 + 2 * kNetBuffers);
        CHECK(fake::world().ports.size() == 1);
    }
    SECTION("none")
    {
        fake::world().nodes.erase(std::string(kBack) + "/state");
        CHECK(bench.net.step() == Front_phase::gone);
        CHECK(fake::world().granted.empty());
        CHECK(fake::world().ports.empty());
    }
}

TEST_CASE("nodes that are rubbish open nothing")
{
    const auto odd = [](const char* node, const std::string& value) {
        Bench bench;
        bench.own(node, value);
        return bench.net.open(bench.store, "device/vif/0") && bench.net.step() == Front_phase::offered;
    };
    CHECK(odd("mac", "00:16:3E:00:01:02"));
    CHECK_FALSE(odd("mac", "00:16:3e:00:01"));
    CHECK_FALSE(odd("mac", "00:16:3e:00:01:0g"));
    CHECK_FALSE(odd("mac", "00-16-3e-00-01-02"));
    CHECK_FALSE(odd("backend", ""));
    CHECK_FALSE(odd("backend", std::string(3000, 'x')));
    CHECK_FALSE(odd("backend-id", "32752"));
    CHECK_FALSE(odd("backend-id", "-1"));
    Bench bench;
    bench.connect();
    CHECK(fake::world().granted.size() == 2 + 2 * kNetBuffers);
}

TEST_CASE("an interface for which there are not enough grants leaves none behind")
{
    Bench bench;
    fake::world().grants_left = 100;
    REQUIRE(bench.net.open(bench.store, "device/vif/0"));
    CHECK(bench.net.step() == Front_phase::closed);
    CHECK(fake::world().granted.empty());
    CHECK(fake::world().ports.empty());
}

// SPDX-License-Identifier: Apache-2.0
#include "fake_disk.hpp"
#include "frontend.hpp"
#include "guest-drivers/backend/queue.hpp"

#include <catch2/catch.hpp>

#include <optional>
#include <string>

using namespace vmm;
using namespace vmm::block;
using namespace vmm::block::test;
using protocol::Block_abi;

namespace
{

constexpr std::uint64_t kSectors = 4096;

struct Setup {
    bool immediate         = false;
    bool keeps             = true;
    std::size_t ring_pages = 1;
    Block_abi abi          = Block_abi::x86_64;
    std::size_t buffers    = Buffer_pool::kLargest;
};

struct Rig {
    explicit Rig(const Setup& setup)
        : front(600, setup.ring_pages), disk(kSectors, setup.immediate), buffers(setup.buffers),
          complaints("test", [this](std::string_view line) { said += std::string(line) + "\n"; }),
          abi(setup.abi)
    {
        if (setup.keeps) {
            kept.emplace(front.guest, 64);
        }
        for (std::size_t i = 0; i < disk.bytes.size(); ++i) {
            disk.bytes[i] = static_cast<std::byte>(i / 512 * 7 + i % 13);
        }
        connect();
    }
    void connect()
    {
        pages = front.map_ring();
        queue.emplace(pages.bytes(), abi, log.queue(0),
                      Queue::Services{front.guest, kept ? &*kept : nullptr, disk, buffers, complaints});
    }
    // Everything asked is taken, done and answered. How often the frontend was notified.
    unsigned run()
    {
        const bool wanted = front.ring.push();
        unsigned notified = 0;
        if (wanted) {
            queue->serve();
        }
        do {
            disk.end_all();
            notified += queue->settle() ? 1 : 0;
            if (queue->starved()) {
                queue->serve();
            }
        } while (!disk.started.empty());
        return notified;
    }
    std::int16_t status_of_one()
    {
        run();
        const auto answers = front.answers();
        REQUIRE(answers.size() == 1);
        CHECK(answers[0].id == front.last_id);
        return answers[0].status;
    }

    Frontend front;
    Fake_disk disk;
    Buffer_pool buffers;
    std::string said;
    Complaints complaints;
    Block_abi abi;
    std::optional<Kept_grants> kept;
    Request_log log = Request_log::open("").value();
    Mapped_pages pages;
    std::optional<Queue> queue;
};

void fill(std::byte* page, unsigned seed)
{
    for (std::size_t i = 0; i < kPageSize; ++i) {
        page[i] = static_cast<std::byte>(seed * 31 + i * 3 + i / 256);
    }
}

} // namespace

TEST_CASE("what is written is on the disk and what is read is what was there", "[blkback]")
{
    const bool immediate = GENERATE(true, false);
    const bool keeps     = GENERATE(true, false);
    const auto ring      = GENERATE(as<std::size_t>{}, 1, 4);
    Rig rig({.immediate = immediate, .keeps = keeps, .ring_pages = ring});
    auto& guest = rig.front.guest;
    fill(guest.page(10), 1);
    fill(guest.page(11), 2);
    rig.front.ask(BLKIF_OP_WRITE, 100, {{Frontend::ref(10), 0, 7}, {Frontend::ref(11), 2, 3}});
    rig.front.ask(BLKIF_OP_READ, 200, {{Frontend::ref(12), 1, 1}, {Frontend::ref(13), 0, 7}});
    CHECK(rig.run() == 1);
    for (const blkif_response& answer : rig.front.answers()) {
        CHECK(answer.status == BLKIF_RSP_OKAY);
    }
    CHECK(std::memcmp(&rig.disk.bytes[100 * 512], guest.page(10), 4096) == 0);
    CHECK(std::memcmp(&rig.disk.bytes[108 * 512], guest.page(11) + 1024, 1024) == 0);
    CHECK(std::memcmp(guest.page(12) + 512, &rig.disk.bytes[200 * 512], 512) == 0);
    CHECK(std::memcmp(guest.page(13), &rig.disk.bytes[201 * 512], 4096) == 0);
    CHECK(guest.page(12)[0] == std::byte{0});
    CHECK(guest.page(12)[1024] == std::byte{0});
}

TEST_CASE("kept pages cost no call after the first time; others one for all of a turn", "[blkback]")
{
    const bool keeps = GENERATE(true, false);
    Rig rig({.keeps = keeps});
    for (int round = 0; round < 2; ++round) {
        rig.front.guest.map_ops = rig.front.guest.copy_ops = 0;
        for (unsigned i = 0; i < 20; ++i) {
            rig.front.ask(i % 2 == 0 ? BLKIF_OP_READ : BLKIF_OP_WRITE, i * 8,
                          {{Frontend::ref(20 + i), 0, 7}});
        }
        CHECK(rig.run() == 1);
        CHECK(rig.front.answers().size() == 20);
    }
    CHECK(rig.front.guest.map_ops == 0);
    CHECK(rig.front.guest.copy_ops == (keeps ? 0 : 2));
}

TEST_CASE("indirect requests", "[blkback]")
{
    const bool keeps = GENERATE(true, false);
    Rig rig({.keeps = keeps});
    auto* descriptors = reinterpret_cast<blkif_request_segment*>(rig.front.guest.page(5));
    for (unsigned i = 0; i < 200; ++i) {
        descriptors[i] = {Frontend::ref(100 + i), 0, 7};
        fill(rig.front.guest.page(100 + i), i);
    }
    const auto ask = [&](std::uint8_t operation, std::uint16_t segments, grant_ref_t page) {
        auto& indirect             = reinterpret_cast<blkif_request_indirect&>(rig.front.ask(operation, 0));
        indirect                   = {};
        indirect.operation         = BLKIF_OP_INDIRECT;
        indirect.indirect_op       = operation;
        indirect.id                = rig.front.last_id;
        indirect.nr_segments       = segments;
        indirect.sector_number     = 16;
        indirect.indirect_grefs[0] = page;
        return rig.status_of_one();
    };
    CHECK(ask(BLKIF_OP_WRITE, 200, Frontend::ref(5)) == BLKIF_RSP_OKAY);
    for (unsigned i = 0; i < 200; ++i) {
        REQUIRE(std::memcmp(&rig.disk.bytes[(16 + i * 8) * 512], rig.front.guest.page(100 + i), 4096) == 0);
    }
    rig.disk.history.clear();
    CHECK(ask(BLKIF_OP_READ, kMostSegments + 1, Frontend::ref(5)) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_READ, 65535, Frontend::ref(5)) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_READ, 0, Frontend::ref(5)) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_READ, 10, 4000000) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_FLUSH_DISKCACHE, 10, Frontend::ref(5)) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_DISCARD, 10, Frontend::ref(5)) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_INDIRECT, 10, Frontend::ref(5)) == BLKIF_RSP_ERROR);
    CHECK(rig.disk.history.empty());
}

TEST_CASE("a 32-bit guest's slots are laid out otherwise", "[blkback]")
{
    Rig rig({.abi = Block_abi::x86_32});
    using namespace protocol::wire;
    auto* slots         = rig.front.guest.page(0) + sizeof(protocol::Ring_head);
    auto& first         = *reinterpret_cast<Request<Halves>*>(slots);
    first               = {};
    first.operation     = BLKIF_OP_READ;
    first.nr_segments   = 1;
    first.id            = Halves::of(0x1122334455667788);
    first.sector_number = Halves::of(8);
    first.seg[0]        = {Frontend::ref(9), 0, 0};
    auto& second        = *reinterpret_cast<Discard<Halves>*>(slots + 108);
    second              = {};
    second.operation    = BLKIF_OP_DISCARD;
    second.id           = Halves::of(7);
    second.nr_sectors   = Halves::of(kSectors + 1);
    reinterpret_cast<protocol::Ring_head*>(rig.front.guest.page(0))->request_producer = 2;
    rig.queue->serve();
    rig.disk.end_all();
    CHECK(rig.queue->settle());
    const auto& answers = *reinterpret_cast<Response<Halves>*>(slots);
    CHECK(answers.id == 0x1122334455667788u);
    CHECK(answers.status == BLKIF_RSP_OKAY);
    CHECK(std::memcmp(rig.front.guest.page(9), &rig.disk.bytes[8 * 512], 512) == 0);
    CHECK(reinterpret_cast<Response<Halves>*>(slots + 108)->status == BLKIF_RSP_ERROR);
}

TEST_CASE("requests that make no sense get an error and touch nothing", "[blkback]")
{
    const bool immediate = GENERATE(true, false);
    const bool keeps     = GENERATE(true, false);
    Rig rig({.immediate = immediate, .keeps = keeps});
    const auto good = Frontend::ref(9);
    const auto ask  = [&](std::uint8_t operation, std::uint64_t sector,
                         std::initializer_list<blkif_request_segment> segments) {
        rig.front.ask(operation, sector, segments);
        return rig.status_of_one();
    };
    CHECK(ask(BLKIF_OP_READ, 0, {}) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_READ, kSectors, {{good, 0, 0}}) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_READ, kSectors - 1, {{good, 0, 1}}) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_WRITE, ~0ull, {{good, 0, 7}}) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_WRITE, ~0ull / 512, {{good, 0, 7}}) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_READ, 0, {{good, 3, 2}}) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_READ, 0, {{good, 0, 8}}) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_READ, 0, {{good, 8, 255}}) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_WRITE_BARRIER, 0, {{good, 0, 7}}) == BLKIF_RSP_EOPNOTSUPP);
    CHECK(ask(BLKIF_OP_RESERVED_1, 0, {}) == BLKIF_RSP_EOPNOTSUPP);
    CHECK(ask(200, 0, {}) == BLKIF_RSP_EOPNOTSUPP);
    rig.front.ask(BLKIF_OP_READ, 0, {{good, 0, 0}}).nr_segments = 12;
    CHECK(rig.status_of_one() == BLKIF_RSP_ERROR);
    CHECK(rig.disk.history.empty());
    CHECK(ask(BLKIF_OP_WRITE, 0, {{4000000, 0, 7}}) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_WRITE, 0, {{~0u, 0, 7}}) == BLKIF_RSP_ERROR);
    CHECK(rig.disk.history.empty());
    rig.front.guest.grant(7, 7, Fake_guest::Grant::read_only);
    CHECK(ask(BLKIF_OP_READ, 0, {{7, 0, 7}}) == BLKIF_RSP_ERROR);
    CHECK(ask(BLKIF_OP_WRITE, 0, {{7, 0, 7}}) == BLKIF_RSP_OKAY);
}

TEST_CASE("discard, flush, and a disk that is not to be written", "[blkback]")
{
    Rig rig({});
    const auto discard = [&](std::uint64_t sector, std::uint64_t sectors) {
        auto& request = reinterpret_cast<blkif_request_discard&>(rig.front.ask(BLKIF_OP_DISCARD, sector));
        request.nr_sectors = sectors;
        return rig.status_of_one();
    };
    CHECK(discard(8, 16) == BLKIF_RSP_OKAY);
    CHECK(rig.disk.bytes[8 * 512 + 5] == std::byte{0});
    CHECK(rig.disk.bytes[24 * 512 + 5] != std::byte{0});
    CHECK(discard(0, kSectors + 1) == BLKIF_RSP_ERROR);
    CHECK(discard(2, ~0ull) == BLKIF_RSP_ERROR);
    CHECK(discard(~0ull, 2) == BLKIF_RSP_ERROR);
    rig.disk.shape().discard = false;
    CHECK(discard(8, 16) == BLKIF_RSP_EOPNOTSUPP);

    rig.disk.history.clear();
    rig.front.ask(BLKIF_OP_FLUSH_DISKCACHE, 0);
    CHECK(rig.status_of_one() == BLKIF_RSP_OKAY);
    CHECK(rig.disk.history == "f");

    SECTION("a flush with data is safe before and after it")
    {
        rig.disk.history.clear();
        fill(rig.front.guest.page(30), 9);
        rig.front.ask(BLKIF_OP_FLUSH_DISKCACHE, 40, {{Frontend::ref(30), 0, 7}});
        CHECK(rig.front.ring.push());
        rig.queue->serve();
        for (int i = 0; i < 3; ++i) {
            REQUIRE(rig.disk.started.size() == 1);
            CHECK_FALSE(rig.queue->settle());
            rig.disk.end_one(0);
        }
        CHECK(rig.queue->settle());
        CHECK(rig.disk.history == "fwf");
        CHECK(std::memcmp(&rig.disk.bytes[40 * 512], rig.front.guest.page(30), 4096) == 0);
    }
    SECTION("read-only")
    {
        rig.disk.shape().read_only = true;
        rig.disk.shape().discard   = true;
        rig.disk.history.clear();
        CHECK(discard(8, 16) == BLKIF_RSP_ERROR);
        for (const auto operation : {BLKIF_OP_WRITE, BLKIF_OP_FLUSH_DISKCACHE}) {
            rig.front.ask(static_cast<std::uint8_t>(operation), 0, {{Frontend::ref(9), 0, 7}});
            CHECK(rig.status_of_one() == BLKIF_RSP_ERROR);
        }
        CHECK(rig.disk.history.empty());
        rig.front.ask(BLKIF_OP_READ, 0, {{Frontend::ref(9), 0, 7}});
        CHECK(rig.status_of_one() == BLKIF_RSP_OKAY);
    }
}

TEST_CASE("a full disk is an error to the guest and a few lines in the log", "[blkback]")
{
    Rig rig({});
    rig.disk.fail_with = ENOSPC;
    for (int i = 0; i < 30; ++i) {
        rig.front.ask(BLKIF_OP_WRITE, 8, {{Frontend::ref(9), 0, 7}});
        CHECK(rig.status_of_one() == BLKIF_RSP_ERROR);
    }
    CHECK(rig.said.find("the write of 8 sectors at sector 8 failed: No space left on device") !=
          rig.said.npos);
    CHECK(std::count(rig.said.begin(), rig.said.end(), '\n') == Complaints::kAtOnce);
    rig.disk.fail_with = 0;
    rig.front.ask(BLKIF_OP_WRITE, 8, {{Frontend::ref(9), 0, 7}});
    CHECK(rig.status_of_one() == BLKIF_RSP_OKAY);
}

TEST_CASE("answers are in the order of requests, however the disk works", "[blkback]")
{
    Rig rig({});
    for (unsigned i = 0; i < 8; ++i) {
        rig.front.ask(BLKIF_OP_READ, i, {{Frontend::ref(20 + i), 0, 0}});
    }
    CHECK(rig.front.ring.push());
    rig.queue->serve();
    rig.disk.end_one(7);
    rig.disk.end_one(3);
    CHECK_FALSE(rig.queue->settle());
    rig.disk.end_one(0);
    CHECK(rig.queue->settle());
    rig.disk.end_all();
    (void)rig.queue->settle();
    std::uint64_t id = 0;
    for (const blkif_response& answer : rig.front.answers()) {
        CHECK(answer.id == ++id);
    }
    CHECK(id == 8);
}

TEST_CASE("what a killed backend had not answered its successor does", "[blkback]")
{
    Rig rig({});
    for (unsigned i = 0; i < 6; ++i) {
        fill(rig.front.guest.page(20 + i), i);
        rig.front.ask(BLKIF_OP_WRITE, i * 8, {{Frontend::ref(20 + i), 0, 7}});
    }
    CHECK(rig.front.ring.push());
    rig.queue->serve();
    rig.disk.end_one(0);
    rig.disk.end_one(0);
    (void)rig.queue->settle();
    CHECK(rig.front.answers().size() == 2);

    // It had begun to answer: what stood in the ring is gone.
    std::memset(rig.front.guest.page(0) + sizeof(protocol::Ring_head), 0xee, 4 * sizeof(blkif_request));
    rig.disk.started.clear(); // the process is gone, and with it what was under way
    rig.disk.history.clear();
    rig.connect();
    rig.queue->serve();
    rig.disk.end_all();
    CHECK(rig.queue->settle());
    CHECK(rig.disk.history == "wwww");
    CHECK(rig.front.answers().size() == 4);
    for (unsigned i = 0; i < 6; ++i) {
        CHECK(std::memcmp(&rig.disk.bytes[i * 4096], rig.front.guest.page(20 + i), 4096) == 0);
    }
}

TEST_CASE("a ring that claims more than it holds is broken for good", "[blkback]")
{
    Rig rig({});
    auto& producer = reinterpret_cast<protocol::Ring_head*>(rig.front.guest.page(0))->request_producer;
    producer       = GENERATE(33u, 1000u, ~0u, 0x80000000u);
    rig.queue->serve();
    CHECK(rig.queue->broken());
    CHECK(rig.disk.started.empty());
    producer = 1;
    rig.queue->serve();
    CHECK(rig.disk.started.empty());
}

TEST_CASE("a producer that runs backwards is broken, too", "[blkback]")
{
    Rig rig({});
    rig.front.ask(BLKIF_OP_READ, 0, {{Frontend::ref(9), 0, 7}});
    rig.front.ask(BLKIF_OP_READ, 0, {{Frontend::ref(9), 0, 7}});
    CHECK(rig.front.ring.push());
    rig.queue->serve();
    reinterpret_cast<protocol::Ring_head*>(rig.front.guest.page(0))->request_producer = 1;
    rig.queue->serve();
    CHECK(rig.queue->broken());
    rig.queue->close();
    rig.disk.end_all();
    CHECK(rig.queue->under_way() == 0);
    CHECK_FALSE(rig.queue->settle());
}

TEST_CASE("after it is closed what is under way is answered and what comes is refused", "[blkback]")
{
    Rig rig({});
    rig.front.ask(BLKIF_OP_READ, 0, {{Frontend::ref(9), 0, 7}});
    CHECK(rig.front.ring.push());
    rig.queue->serve();
    rig.queue->close();
    CHECK(rig.queue->under_way() == 1);
    rig.front.ask(BLKIF_OP_WRITE, 0, {{Frontend::ref(9), 0, 7}});
    CHECK(rig.front.ring.push());
    rig.queue->serve();
    CHECK(rig.queue->under_way() == 1);
    CHECK(rig.queue->newly_taken() == 2);
    rig.disk.end_all();
    CHECK(rig.queue->under_way() == 0);
    CHECK(rig.queue->settle());
    const auto answers = rig.front.answers();
    REQUIRE(answers.size() == 2);
    CHECK(answers[0].status == BLKIF_RSP_OKAY);
    CHECK(answers[1].status == BLKIF_RSP_ERROR);
    CHECK(rig.disk.history == "r");
    CHECK(rig.queue->newly_taken() == 0);
}

TEST_CASE("large requests share little memory without starving each other", "[blkback]")
{
    Rig rig({.keeps = GENERATE(true, false)});
    auto* descriptors = reinterpret_cast<blkif_request_segment*>(rig.front.guest.page(5));
    for (unsigned i = 0; i < kMostSegments; ++i) {
        descriptors[i] = {Frontend::ref(100 + i), 0, 7};
    }
    for (unsigned i = 0; i < 20; ++i) {
        auto& request = rig.front.ask(BLKIF_OP_WRITE, 0, {{Frontend::ref(9), 0, 7}});
        if (i % 3 == 0) {
            auto& indirect             = reinterpret_cast<blkif_request_indirect&>(request);
            indirect                   = {};
            indirect.operation         = BLKIF_OP_INDIRECT;
            indirect.indirect_op       = BLKIF_OP_READ;
            indirect.nr_segments       = kMostSegments;
            indirect.indirect_grefs[0] = Frontend::ref(5);
        }
    }
    rig.run();
    const auto answers = rig.front.answers();
    CHECK(answers.size() == 20);
    for (const blkif_response& answer : answers) {
        CHECK(answer.status == BLKIF_RSP_OKAY);
    }
}

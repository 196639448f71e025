// SPDX-License-Identifier: Apache-2.0
//
// The block frontend against a backend that this test plays on a disk in memory, well-behaved and not.
#include "fake_world.hpp"
#include "guest/block.hpp"
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

constexpr const char* kBack = "/local/domain/0/backend/vbd/5/51712";
constexpr u64 kSectors      = 4096;
using Op                    = Block_operation;

struct Bench {
    Bench() : memory(std::make_unique<Block_memory>()), disk(*memory), content(kSectors * kSectorSize)
    {
        fake::reset();
        fake::world().nodes["device/vbd/51712/backend"]    = kBack;
        fake::world().nodes["device/vbd/51712/backend-id"] = "0";
        back("state", "2");
        back("sectors", std::to_string(kSectors));
        back("sector-size", "512");
        back("feature-flush-cache", "1");
        back("feature-discard", "1");
        back("feature-max-indirect-segments", "256");
    }

    static void back(const std::string& node, const std::string& value)
    {
        fake::world().nodes[std::string(kBack) + "/" + node] = value;
    }
    static std::string said(const std::string& node)
    {
        return fake::world().nodes["device/vbd/51712/" + node];
    }

    void connect()
    {
        REQUIRE(disk.open(store, "device/vbd/51712"));
        REQUIRE(disk.step() == Front_phase::offered);
        CHECK(said("state") == "3");
        back("state", "4");
        REQUIRE(disk.step() == Front_phase::running);
        CHECK(said("state") == "4");
        ring.emplace(std::as_writable_bytes(std::span(memory->ring.bytes)), sizeof(blkif_request));
    }
    blkif_request taken()
    {
        blkif_request request{};
        REQUIRE(ring->waiting().value_or(0) > 0);
        ring->take(std::as_writable_bytes(std::span(&request, 1)));
        return request;
    }
    void answer(u64 id, u8 operation, s16 status = BLKIF_RSP_OKAY)
    {
        blkif_response response{};
        response.id        = id;
        response.operation = operation;
        response.status    = status;
        ring->answer(std::as_bytes(std::span(&response, 1)));
        (void)ring->push();
    }
    static u8* page(grant_ref_t ref)
    {
        return const_cast<u8*>(static_cast<const u8*>(fake::world().granted.at(ref)));
    }
    void move(u8 operation, u64 sector, const blkif_request_segment* segments, u32 count)
    {
        for (u32 i = 0; i < count; ++i) {
            const u64 length      = (segments[i].last_sect - segments[i].first_sect + 1u) * kSectorSize;
            u8* const memory_side = page(segments[i].gref) + segments[i].first_sect * kSectorSize;
            u8* const disk_side   = content.data() + sector * kSectorSize;
            REQUIRE(sector * kSectorSize + length <= content.size());
            if (operation == BLKIF_OP_READ)
                std::memcpy(memory_side, disk_side, length);
            else
                std::memcpy(disk_side, memory_side, length);
            sector += length / kSectorSize;
        }
    }
    // Does the next request as a good backend would.
    void serve()
    {
        const blkif_request request = taken();
        if (request.operation == BLKIF_OP_INDIRECT) {
            blkif_request_indirect indirect{};
            std::memcpy(&indirect, &request, sizeof indirect);
            const auto* list = reinterpret_cast<blkif_request_segment*>(page(indirect.indirect_grefs[0]));
            move(indirect.indirect_op, indirect.sector_number, list, indirect.nr_segments);
            answer(indirect.id, indirect.indirect_op);
        } else {
            if (request.operation == BLKIF_OP_READ || request.operation == BLKIF_OP_WRITE)
                move(request.operation, request.sector_number, request.seg, request.nr_segments);
            answer(request.id, request.operation);
        }
    }

    Store store;
    std::unique_ptr<Block_memory> memory;
    Block disk;
    std::vector<u8> content;
    std::optional<Back_ring> ring;
    std::unique_ptr<Page[]> pages = std::make_unique<Page[]>(kBlockSegments);
};

} // namespace

TEST_CASE("what is written is on the disk, and is read again, by requests of every length")
{
    Bench bench;
    bench.connect();
    std::mt19937 random(5);
    const u64 granted = fake::world().granted.size();
    std::vector<u8> model(bench.content.size());
    for (int round = 0; round < 2000; ++round) {
        const u64 sectors = 1 + random() % (kBlockSegments * 8);
        const u64 sector  = random() % (kSectors - sectors + 1);
        const u64 bytes   = sectors * kSectorSize;
        const Op op       = random() % 2 ? Op::write : Op::read;
        if (op == Op::write) {
            for (u64 i = 0; i < bytes; ++i)
                bench.pages[0].bytes[i] = static_cast<u8>(random());
            std::memcpy(model.data() + sector * kSectorSize, bench.pages[0].bytes, bytes);
        }
        const Block::Ticket ticket = bench.disk.submit({op, sector, sectors, bench.pages.get()});
        REQUIRE(ticket.refusal == Block_refusal::none);
        bench.disk.send();
        REQUIRE_FALSE(bench.disk.poll());
        REQUIRE(bench.disk.collect(ticket.slot) == Block_outcome::pending);
        bench.serve();
        REQUIRE(bench.disk.poll());
        REQUIRE(bench.disk.collect(ticket.slot) == Block_outcome::done);
        if (op == Op::read)
            REQUIRE(std::memcmp(bench.pages[0].bytes, model.data() + sector * kSectorSize, bytes) == 0);
        REQUIRE(fake::world().granted.size() == granted);
    }
    CHECK(bench.content == model);
}

TEST_CASE("as many requests as the ring holds, answered in any order")
{
    Bench bench;
    bench.connect();
    for (u32 i = 0; i < kBlockRequests; ++i)
        REQUIRE(bench.disk.submit({Op::read, i, 1, &bench.pages[i]}).refusal == Block_refusal::none);
    CHECK(bench.disk.submit({Op::read, 0, 1, &bench.pages[0]}).refusal == Block_refusal::busy);
    bench.disk.send();
    std::vector<blkif_request> requests;
    for (u32 i = 0; i < kBlockRequests; ++i)
        requests.push_back(bench.taken());
    std::ranges::shuffle(requests, std::mt19937(1));
    for (const blkif_request& request : requests)
        bench.answer(request.id, request.operation, request.id % 3 ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR);
    REQUIRE(bench.disk.poll());
    for (u32 i = 0; i < kBlockRequests; ++i)
        CHECK(bench.disk.collect(i) == (i % 3 ? Block_outcome::done : Block_outcome::failed));
    CHECK(bench.disk.collect(0) == Block_outcome::lost); // collected before
    CHECK(bench.disk.submit({Op::read, 0, 1, &bench.pages[0]}).refusal == Block_refusal::none);
}

TEST_CASE("flush and discard")
{
    Bench bench;
    bench.connect();
    const Block::Ticket flush = bench.disk.submit({Op::flush});
    bench.disk.send();
    const blkif_request wire = bench.taken();
    CHECK(wire.operation == BLKIF_OP_FLUSH_DISKCACHE);
    CHECK(wire.nr_segments == 0);
    bench.answer(wire.id, wire.operation, BLKIF_RSP_EOPNOTSUPP);
    CHECK(bench.disk.poll());
    CHECK(bench.disk.collect(flush.slot) == Block_outcome::unsupported);

    const Block::Ticket ticket = bench.disk.submit({Op::discard, 8, 4000});
    bench.disk.send();
    const blkif_request taken = bench.taken();
    blkif_request_discard discard{};
    std::memcpy(&discard, &taken, sizeof discard);
    CHECK(discard.operation == BLKIF_OP_DISCARD);
    CHECK(discard.sector_number == 8);
    CHECK(discard.nr_sectors == 4000);
    bench.answer(discard.id, BLKIF_OP_DISCARD);
    CHECK(bench.disk.poll());
    CHECK(bench.disk.collect(ticket.slot) == Block_outcome::done);
}

TEST_CASE("what the disk cannot do is refused")
{
    Page page;
    const Disk disk{.sectors = 100, .sector_size = 512, .segments = 11, .read_only = false, .flush = false};
    const auto refusal = [&](Op op, u64 sector, u64 sectors) {
        return check({op, sector, sectors, &page}, disk);
    };
    CHECK(refusal(Op::read, 0, 88) == Block_refusal::none);
    CHECK(refusal(Op::read, 12, 88) == Block_refusal::none);
    CHECK(refusal(Op::read, 13, 88) == Block_refusal::out_of_range);
    CHECK(refusal(Op::read, 100, 1) == Block_refusal::out_of_range);
    CHECK(refusal(Op::write, ~u64{0}, 1) == Block_refusal::out_of_range);
    CHECK(refusal(Op::read, 0, 89) == Block_refusal::length);
    CHECK(refusal(Op::read, 0, 0) == Block_refusal::length);
    CHECK(refusal(Op::read, 0, ~u64{0}) == Block_refusal::length);
    CHECK(check({Op::read, 0, 1, nullptr}, disk) == Block_refusal::length);
    CHECK(refusal(Op::flush, 0, 0) == Block_refusal::unsupported);
    CHECK(refusal(Op::discard, 0, 1) == Block_refusal::unsupported);
    Disk other      = disk;
    other.read_only = true;
    CHECK(check({Op::write, 0, 1, &page}, other) == Block_refusal::read_only);
    CHECK(check({Op::read, 0, 1, &page}, other) == Block_refusal::none);
    other.sector_size = 4096;
    CHECK(check({Op::read, 0, 1, &page}, other) == Block_refusal::length);
    CHECK(check({Op::read, 4, 8, &page}, other) == Block_refusal::length);
    CHECK(check({Op::read, 8, 8, &page}, other) == Block_refusal::none);
    other         = disk;
    other.discard = true;
    CHECK(check({Op::discard, 90, 11, nullptr}, other) == Block_refusal::out_of_range);
    CHECK(check({Op::discard, 90, 10, nullptr}, other) == Block_refusal::none);
}

TEST_CASE("a backend whose description makes no sense is not worked with")
{
    const auto accepted = [](const char* node, const std::string& value) {
        Bench bench;
        REQUIRE(bench.disk.open(bench.store, "device/vbd/51712"));
        bench.disk.step();
        Bench::back(node, value);
        Bench::back("state", "4");
        const bool runs = bench.disk.step() == Front_phase::running;
        if (!runs) {
            Bench::back("state", "6");
            CHECK(bench.disk.step() == Front_phase::closed);
            CHECK(fake::world().granted.empty());
        }
        return runs;
    };
    CHECK(accepted("sectors", "0"));
    CHECK(accepted("sector-size", "4096"));
    CHECK(accepted("feature-max-indirect-segments", "4294967295"));
    CHECK_FALSE(accepted("sectors", "many"));
    CHECK_FALSE(accepted("sectors", "18446744073709551615"));
    CHECK_FALSE(accepted("sector-size", "0"));
    CHECK_FALSE(accepted("sector-size", "511"));
    CHECK_FALSE(accepted("sector-size", "768"));
    CHECK_FALSE(accepted("sector-size", "8192"));
}

TEST_CASE("answers to what was not asked end it; what was in flight is lost and comes back")
{
    Bench bench;
    bench.connect();
    const Block::Ticket ticket = bench.disk.submit({Op::read, 0, 1, bench.pages.get()});
    bench.disk.send();
    const blkif_request wire = bench.taken();
    SECTION("an id of no request") { bench.answer(kBlockRequests - 1, wire.operation); }
    SECTION("an id that is none") { bench.answer(~u64{0}, wire.operation); }
    SECTION("another operation") { bench.answer(wire.id, BLKIF_OP_WRITE); }
    SECTION("a producer that is ahead")
    {
        bench.memory->ring.as<vmm::protocol::Ring_head>()->response_producer = 2;
    }
    SECTION("a page kept after the answer")
    {
        fake::world().in_use.insert(wire.seg[0].gref);
        bench.answer(wire.id, wire.operation);
    }
    CHECK(bench.disk.poll());
    CHECK_FALSE(bench.disk.running());
    CHECK(Bench::said("state") == "6");
    CHECK(bench.disk.collect(ticket.slot) == Block_outcome::pending);
    CHECK(bench.disk.submit({Op::read, 0, 1, bench.pages.get()}).refusal == Block_refusal::not_running);
    Bench::back("state", "6");
    if (!fake::world().in_use.empty()) {
        CHECK(bench.disk.step() == Front_phase::leaving);
        CHECK(bench.disk.held() == 1);
        fake::world().in_use.clear();
    }
    CHECK(bench.disk.step() == Front_phase::closed);
    CHECK(bench.disk.collect(ticket.slot) == Block_outcome::lost);
    CHECK(fake::world().granted.empty());
}

TEST_CASE("the same request answered twice")
{
    Bench bench;
    bench.connect();
    (void)bench.disk.submit({Op::read, 0, 1, bench.pages.get()});
    (void)bench.disk.submit({Op::read, 1, 1, &bench.pages[1]});
    bench.disk.send();
    const blkif_request wire = bench.taken();
    bench.answer(wire.id, wire.operation);
    bench.answer(wire.id, wire.operation);
    bench.disk.poll();
    CHECK_FALSE(bench.disk.running());
    CHECK(bench.disk.collect(static_cast<u32>(wire.id)) == Block_outcome::done);
}

TEST_CASE("a disk that is closed waits for what is on its way")
{
    Bench bench;
    bench.connect();
    const Block::Ticket ticket = bench.disk.submit({Op::read, 0, 1, bench.pages.get()});
    bench.disk.send();
    SECTION("by this end") { bench.disk.close(); }
    SECTION("by the backend's end")
    {
        Bench::back("state", "5");
        bench.disk.step();
    }
    CHECK(bench.disk.step() == Front_phase::draining);
    CHECK(Bench::said("state") == "4");
    CHECK(bench.disk.submit({Op::read, 0, 1, bench.pages.get()}).refusal == Block_refusal::not_running);
    bench.serve();
    CHECK(bench.disk.step() == Front_phase::leaving);
    CHECK(Bench::said("state") == "6");
    CHECK(bench.disk.collect(ticket.slot) == Block_outcome::done);
    Bench::back("state", "6");
    CHECK(bench.disk.step() == Front_phase::closed);
    CHECK(fake::world().granted.empty());
}

TEST_CASE("a disk that waits for what is on its way, and whose backend goes")
{
    Bench bench;
    bench.connect();
    const Block::Ticket ticket = bench.disk.submit({Op::read, 0, 1, bench.pages.get()});
    bench.disk.send();
    bench.disk.close();
    fake::world().nodes.erase(std::string(kBack) + "/state");
    CHECK(bench.disk.step() == Front_phase::gone);
    CHECK(bench.disk.collect(ticket.slot) == Block_outcome::lost);
    CHECK(fake::world().granted.empty());
}

TEST_CASE("a new size is seen while the disk is in use")
{
    Bench bench;
    bench.connect();
    CHECK(bench.disk.disk().sectors == kSectors);
    Bench::back("sectors", "8192");
    CHECK(bench.disk.step() == Front_phase::running);
    CHECK(bench.disk.disk().sectors == 8192);
}

TEST_CASE("short of grants, requests are put off and nothing is left granted")
{
    Bench bench;
    bench.connect();
    const u64 granted         = fake::world().granted.size();
    fake::world().grants_left = 5;
    CHECK(bench.disk.submit({Op::read, 0, 48, bench.pages.get()}).refusal == Block_refusal::busy);
    CHECK(fake::world().granted.size() == granted);
}

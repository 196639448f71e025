// SPDX-License-Identifier: Apache-2.0
#include "fake_disk.hpp"
#include "fake_guest.hpp"
#include "guest-drivers/backend/buffer_pool.hpp"
#include "guest-drivers/backend/complaints.hpp"
#include "guest-drivers/backend/handshake.hpp"
#include "guest-drivers/backend/kept_grants.hpp"
#include "guest-drivers/backend/last_flush.hpp"
#include "guest-drivers/backend/options.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace vmm;
using namespace vmm::block;
using namespace vmm::block::test;
using State = protocol::Xenbus_state;

TEST_CASE("kept grants: mapped once, at most so many, those not used give way", "[blkback]")
{
    Fake_guest guest(20);
    for (grant_ref_t ref = 0; ref < 20; ++ref) {
        guest.grant(ref, ref);
    }
    Kept_grants kept(guest, 4);
    kept.begin_request();
    std::byte* first = kept.find(3);
    REQUIRE(first != nullptr);
    CHECK(kept.find(3) == first);
    CHECK(guest.map_ops == 1);
    for (grant_ref_t ref = 4; ref < 7; ++ref) {
        CHECK(kept.find(ref) != nullptr);
    }
    CHECK(kept.find(8) == nullptr); // this request uses all four
    kept.begin_request();
    CHECK(kept.find(8) != nullptr);
    CHECK(kept.kept() == 4);
    CHECK(guest.mapped == 4);
    for (grant_ref_t ref = 0; ref < 20; ++ref) {
        kept.begin_request();
        std::byte* page = kept.find(ref);
        REQUIRE(page != nullptr);
        guest.page(ref)[0] = static_cast<std::byte>(ref);
        CHECK(page[0] == static_cast<std::byte>(ref));
    }
    CHECK(guest.mapped == 4);
    CHECK(kept.find(4711) == nullptr);
    CHECK(kept.find(~0u) == nullptr);
}

TEST_CASE("kept grants: those of a request are mapped in one call", "[blkback]")
{
    Fake_guest guest(20);
    for (grant_ref_t ref = 0; ref < 20; ++ref) {
        guest.grant(ref, ref);
        guest.page(ref)[0] = static_cast<std::byte>(ref);
    }
    Kept_grants kept(guest, 8);
    std::vector<blkif_request_segment> segments{{5, 0, 7}, {3, 0, 7}, {9, 0, 7}, {3, 0, 7}};
    const auto all_are_there = [&] {
        for (const auto& segment : segments) {
            std::byte* page = kept.find(segment.gref);
            CHECK((page != nullptr && page[0] == static_cast<std::byte>(segment.gref)));
        }
    };
    kept.begin_request();
    kept.find_all(segments);
    all_are_there();
    CHECK(guest.map_ops == 1);
    CHECK(guest.mapped == 3);
    SECTION("those known are not mapped again")
    {
        segments.insert(segments.end(), {{11, 0, 7}, {12, 0, 7}});
        kept.find_all(segments);
        all_are_there();
        CHECK(guest.map_ops == 2);
        CHECK(guest.mapped == 5);
    }
    SECTION("one that is not granted does not keep the others out")
    {
        guest.revoke(12);
        segments = {{11, 0, 7}, {12, 0, 7}, {~0u, 0, 7}, {13, 0, 7}};
        kept.find_all(segments);
        CHECK(kept.find(11) != nullptr);
        CHECK(kept.find(12) == nullptr);
        CHECK(kept.find(13) != nullptr);
    }
    SECTION("when there is no room for all, others give way one by one, and no more than twice as many are "
            "mapped")
    {
        for (unsigned round = 0; round < 20; ++round) {
            kept.begin_request();
            segments.clear();
            for (grant_ref_t ref = round; ref < round + 6; ++ref) {
                segments.push_back({ref % 20, 0, 7});
            }
            kept.find_all(segments);
            all_are_there();
            CHECK(kept.kept() <= 8);
            CHECK(guest.mapped <= 16);
        }
    }
}

TEST_CASE("the buffer pool gives no piece twice and everything back", "[blkback]")
{
    Buffer_pool pool(2 * Buffer_pool::kLargest);
    std::vector<std::span<std::byte>> pieces;
    std::set<std::byte*> seen;
    for (auto piece = pool.take(4096); !piece.empty(); piece = pool.take(5000)) {
        CHECK(piece.size() == (pieces.empty() ? 4096 : 8192));
        CHECK(seen.insert(piece.data()).second);
        pieces.push_back(piece);
    }
    CHECK(pieces.size() == 256);
    pool.give_back(pieces.back());
    pieces.pop_back();
    CHECK(pool.take(4096).empty()); // somebody waits for more than there is
    for (const auto piece : pieces) {
        pool.give_back(piece);
    }
    CHECK(pool.take(Buffer_pool::kLargest).size() == Buffer_pool::kLargest);
    CHECK(pool.take(Buffer_pool::kLargest - 1).size() == Buffer_pool::kLargest);
    CHECK(pool.take(1).empty());
}

TEST_CASE("complaints are few, and the number of the others is told", "[blkback]")
{
    std::vector<std::string> lines;
    Complaints complaints("a disk", [&](std::string_view line) { lines.emplace_back(line); });
    const auto begin = Complaints::Clock::now();
    for (int i = 0; i < 100; ++i) {
        complaints.say("it creaks", begin);
    }
    CHECK(lines.size() == Complaints::kAtOnce);
    CHECK(lines[0] == "a disk: it creaks");
    complaints.say("it creaks", begin + Complaints::kPeriod);
    CHECK(lines.size() == Complaints::kAtOnce + 2);
    CHECK(lines[Complaints::kAtOnce] == "a disk: 95 more messages like these were left out");
}

TEST_CASE("a last flush: what the disk says of it, one at a time, as often as it is asked for", "[blkback]")
{
    const bool immediate = GENERATE(true, false);
    Fake_disk disk(8, immediate);
    Last_flush flush(disk);
    std::vector<int> told;
    for (const int error : {ENOSPC, 0}) {
        disk.fail_with = error;
        flush.begin([&](int how) { told.push_back(how); });
        if (!immediate) {
            flush.begin([&](int) { told.push_back(-1); });
            CHECK(disk.started.size() == 1);
            disk.end_all();
        }
        CHECK(told.back() == error);
    }
    CHECK(told.size() == 2);
    CHECK(disk.history == "ff");
}

TEST_CASE("the handshake step by step", "[blkback]")
{
    const auto step = [](State own, std::optional<State> frontend, bool online, bool connected) {
        return next_step({own, frontend, online, connected});
    };
    CHECK(step(State::initialising, State::initialising, true, false) == Step::offer);
    CHECK(step(State::init_wait, State::initialising, true, false) == Step::wait);
    CHECK(step(State::init_wait, State::initialised, true, false) == Step::connect);
    CHECK(step(State::initialising, State::connected, true, false) == Step::connect); // skipped a state
    CHECK(step(State::connected, State::connected, true, false) == Step::connect);    // a successor
    CHECK(step(State::connected, State::connected, true, true) == Step::wait);
    CHECK(step(State::connected, State::closing, true, true) == Step::close);
    CHECK(step(State::closing, State::closing, true, true) == Step::wait);
    CHECK(step(State::closing, State::closed, true, true) == Step::let_go);
    CHECK(step(State::closed, State::closed, true, false) == Step::wait);
    CHECK(step(State::closed, State::initialising, true, false) == Step::offer);
    CHECK(step(State::closing, State::connected, true, false) == Step::wait); // at fault: not served again
    CHECK(step(State::connected, State::initialising, true, true) == Step::let_go);
    CHECK(step(State::connected, State::closed, false, true) == Step::let_go_and_end);
    CHECK(step(State::connected, State::initialising, false, true) == Step::let_go_and_end);
    CHECK(step(State::init_wait, State::initialising, false, false) == Step::wait); // it may just connect
    CHECK(step(State::init_wait, State::closed, false, false) == Step::let_go_and_end);
    CHECK(step(State::connected, State::connected, false, true) == Step::wait);
    CHECK(step(State::init_wait, State::initialised, false, false) == Step::wait);
    CHECK(step(State::connected, std::nullopt, true, true) == Step::let_go_and_end);
    CHECK(step(State::init_wait, protocol::state_from("17"), true, false) == Step::wait);
    CHECK(protocol::state_from("8") == State::reconfigured);
    CHECK(protocol::state_from("9") == State::unknown);
    CHECK(protocol::state_from("") == State::unknown);
    CHECK(protocol::text_of(State::connected) == "4");
}

TEST_CASE("the command line", "[blkback]")
{
    const auto parse = [](std::vector<std::string> words) {
        words.insert(words.begin(), "vmm-blkback");
        std::vector<char*> pointers;
        for (std::string& word : words) {
            pointers.push_back(word.data());
        }
        pointers.push_back(nullptr);
        return parse_options({pointers.data(), words.size()});
    };
    const auto good =
        parse({"--read-only", "--queues", "2", "--no-discard", "7", "/local/x", "/a.img", "--cdrom"});
    REQUIRE(good);
    CHECK(good->device.frontend == Domid{7});
    CHECK(good->device.path == "/local/x");
    CHECK(good->device.offer.queues == 2);
    CHECK(good->device.cdrom);
    CHECK(good->source == "/a.img");
    CHECK(good->image.read_only);
    CHECK_FALSE(good->image.discard);
    CHECK(parse({"--help"})->help);
    CHECK_FALSE(parse({"7", "/local/x"}));
    CHECK_FALSE(parse({"7x", "/local/x", "a"}));
    CHECK_FALSE(parse({"40000", "/local/x", "a"}));
    CHECK_FALSE(parse({"7", "local/x", "a"}));
    CHECK_FALSE(parse({"--queues", "0", "7", "/local/x", "a"}));
    CHECK_FALSE(parse({"--ring-page-order", "5", "7", "/local/x", "a"}));
    CHECK(parse({"--bogus", "7", "/local/x", "a"}).error().code == Errc::invalid);
}

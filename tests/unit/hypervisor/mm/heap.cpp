// SPDX-License-Identifier: Apache-2.0
#include "mm/heap.hpp"
#include "fakes/memory.hpp"
#include "fakes/panic.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>
#include <vector>

using namespace vmm;

namespace
{

// The heap keeps frames of its own, so all tests share one machine.
void machine() { static fakes::Memory memory(512); }

} // namespace

TEST_CASE("objects are aligned to their class and do not overlap")
{
    machine();
    struct Object {
        u8* at;
        std::size_t size;
        u8 fill;
    };
    std::vector<Object> live;
    std::mt19937 random(3);
    const auto check_and_release = [&](std::size_t i) {
        for (std::size_t b = 0; b < live[i].size; ++b)
            REQUIRE(live[i].at[b] == live[i].fill);
        heap::release(live[i].at);
        live[i] = live.back();
        live.pop_back();
    };
    for (int step = 0; step < 20000; ++step) {
        if (random() % 2 == 0 || live.empty()) {
            const std::size_t size = 1 + (random() % 10 == 0 ? random() % 30000 : random() % 2100);
            auto* const at         = static_cast<u8*>(heap::allocate(size));
            if (!at)
                continue;
            REQUIRE(reinterpret_cast<std::uintptr_t>(at) % 16 == 0);
            const u8 fill = static_cast<u8>(random());
            std::memset(at, fill, size);
            live.push_back({at, size, fill});
        } else {
            check_and_release(random() % live.size());
        }
    }
    while (!live.empty())
        check_and_release(0);
    // What a class keeps for its next object is one frame at most.
    CHECK(frames.total_count() - frames.free_count() <= 8);
}

TEST_CASE("power-of-two objects are aligned to their size")
{
    machine();
    for (const std::size_t size : {16u, 64u, 256u, 1024u, 2048u, 4096u, 8192u}) {
        void* const object = heap::allocate(size);
        CHECK(reinterpret_cast<std::uintptr_t>(object) % std::min<std::size_t>(size, 4096) == 0);
        heap::release(object);
    }
}

TEST_CASE("frames of a large object that it does not need are free")
{
    machine();
    const u64 before   = frames.free_count();
    void* const object = heap::allocate(5 * kPageSize);
    CHECK(frames.free_count() == before - 5);
    heap::release(object);
    CHECK(frames.free_count() == before);
}

TEST_CASE("zeroed means zeroed, also for memory used before")
{
    machine();
    for (const std::size_t size : {24u, 700u, 9000u}) {
        auto* first = static_cast<u8*>(heap::allocate(size));
        std::memset(first, 0xff, size);
        heap::release(first);
        auto* again = static_cast<u8*>(heap::allocate_zeroed(size));
        CHECK(std::all_of(again, again + size, [](u8 b) { return b == 0; }));
        heap::release(again);
    }
}

TEST_CASE("no memory is nullptr, and freeing nothing is fine")
{
    machine();
    CHECK(heap::allocate(4 << 20) == nullptr);
    heap::release(nullptr);
    CHECK_THROWS_AS(heap::release(to_virtual(Mfn(0))), fakes::Panicked);
}

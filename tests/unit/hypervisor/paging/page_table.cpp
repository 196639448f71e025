// SPDX-License-Identifier: Apache-2.0
//
// The page-table engine over memory with history: after each operation every intermediate state is replayed
// and every page of interest must be found either as before or as after, and pages outside the operation
// unchanged throughout. Random operations are compared with a std::map of pages.
#include "mm/page_table.hpp"
#include "arch/x86/paging/entry_formats.hpp"
#include "fakes/memory_history.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <optional>
#include <random>
#include <utility>

using namespace vmm;
using fakes::history;

namespace
{

struct Npt_format : Nested_format {
    static constexpr Places chosen = npt;
};
struct Ept_format : Nested_format {
    static constexpr Places chosen = ept;
};

// The host's tables have nothing both writable and executable.
template <class Format>
constexpr Leaf_attributes attributes()
{
    return {true, !std::is_same_v<Format, Host_format>, false, 3};
}

template <class Format>
struct Machine {
    using Table = Page_table<Format, fakes::History_memory, fakes::History_tables>;

    fakes::History_tables tables;
    Hpa root;

    Machine()
    {
        if constexpr (requires { Format::chosen; })
            Nested_format::places = Format::chosen;
        history = {};
        root    = *tables.allocate();
    }

    // The frame behind a page, or nothing.
    std::optional<u64> frame(u64 page)
    {
        const auto found = Table::place(root, page);
        if (!Format::present(found.entry))
            return {};
        return (Format::leaf_address(found.entry).value() >> kPageShift) +
               (page & low_bits(level_order(found.level)));
    }

    // Runs an operation, then replays it write by write.
    void watched(const std::vector<u64>& pages, const std::function<void()>& operation)
    {
        std::vector<std::optional<u64>> before, after;
        for (u64 page : pages)
            before.push_back(frame(page));
        auto old_cells = history.cells;
        history.writes.clear();
        operation();
        for (u64 page : pages)
            after.push_back(frame(page));
        std::swap(history.cells, old_cells); // old_cells is the final state now
        for (const auto& write : history.writes) {
            history.cells[write.at] = write.value;
            for (std::size_t i = 0; i < pages.size(); ++i) {
                const auto now = frame(pages[i]);
                if (now != before[i] && now != after[i])
                    FAIL("page " << pages[i] << " was neither as before nor as after");
            }
        }
        REQUIRE(history.cells == old_cells);
    }

    Flush map(u64 page, u64 frame_number, u64 count)
    {
        return *Table(root, tables).map(page, frame_number, count, attributes<Format>());
    }
    Flush unmap(u64 page, u64 count)
    {
        Flush flush = Flush::none;
        for (const u64 end = page + count; page < end;) {
            const unsigned level = leaf_level(page, end - page);
            flush                = flush | *Table(root, tables).clear(page, level);
            page += level_pages(level);
        }
        return flush;
    }
    unsigned level(u64 page) { return Table::place(root, page).level; }
};

} // namespace

TEMPLATE_TEST_CASE("largest leaves where alignment allows", "", Npt_format, Ept_format, Host_format)
{
    Machine<TestType> m;
    CHECK(m.map(512 - 2, 1024 - 2, 512 + 4) == Flush::none);
    CHECK(m.level(511) == 1);
    CHECK(m.level(512) == 2);
    CHECK(m.level(1024) == 1);
    CHECK(m.frame(510) == 1022);
    CHECK(m.frame(700) == 700 + 512);
    CHECK(m.frame(1025) == 1537);
    CHECK_FALSE(m.frame(1026));
    CHECK_FALSE(m.frame(509));
    CHECK(m.map(1ull << 18, 1ull << 18, 1ull << 18) == Flush::none);
    CHECK(m.level(1ull << 18) == 3);
    // The frame is not aligned: small leaves, however large the range.
    CHECK(m.map(1ull << 20, 1, 512) == Flush::none);
    CHECK(m.level(1ull << 20) == 1);
}

TEMPLATE_TEST_CASE("splitting a superpage is invisible", "", Npt_format, Ept_format, Host_format)
{
    Machine<TestType> m;
    const u64 giant = 1ull << 18;
    CHECK(m.map(giant, giant, giant) == Flush::none);
    std::vector<u64> pages;
    for (u64 i = 0; i < giant; i += 509)
        pages.push_back(giant + i);
    pages.insert(pages.end(), {giant + 1000, giant + 1001, giant + 1002});
    m.watched(pages, [&] { CHECK(m.unmap(giant + 1001, 1) == Flush::large); });
    CHECK_FALSE(m.frame(giant + 1001));
    CHECK(m.frame(giant + 1000) == giant + 1000);
    m.watched(pages, [&] { CHECK(m.map(giant + 1001, 77, 1) == Flush::none); });
    m.watched(pages, [&] { CHECK(m.map(giant + 1002, 78, 1) == Flush::small); });
    CHECK(m.frame(giant + 1002) == 78);
    // Back to one leaf: two tables fall out.
    const auto tables = history.live_tables.size();
    m.watched(pages, [&] { CHECK(m.map(giant, 0, giant) == Flush::large); });
    CHECK(history.live_tables.size() == tables - 2);
}

TEST_CASE("an access noted while the leaf is split is not lost")
{
    // A CPU sets the dirty bit of a leaf at the last moment before the table replaces it.
    struct Late_memory : fakes::History_memory {
        static u64 exchange(Hpa at, u64 value)
        {
            const u64 old = read(at);
            write(at, value);
            return Npt_format::is_leaf(old, 2) && Npt_format::present(old) && !Npt_format::is_leaf(value, 2)
                       ? old | Npt_format::chosen.dirty
                       : old;
        }
    };
    Nested_format::places = Nested_format::npt;
    history               = {};
    fakes::History_tables tables;
    const Hpa root = *tables.allocate();
    Page_table<Npt_format, Late_memory, fakes::History_tables> table(root, tables);
    (void)*table.map(512, 512, 512, attributes<Npt_format>());
    (void)*table.clear(600, 1);
    CHECK(Npt_format::is_written(table.place(root, 601).entry));
}

TEST_CASE("short of tables nothing changes")
{
    Machine<Npt_format> m;
    (void)m.map(0, 0, 512);
    const auto cells = history.cells;
    history.limit    = history.live_tables.size();
    Machine<Npt_format>::Table table(m.root, m.tables);
    CHECK(table.clear(5, 1).error() == Errc::enomem);
    CHECK(table.set(1ull << 30, 1, Npt_format::leaf(Hpa(0), 1, attributes<Npt_format>())).error() ==
          Errc::enomem);
    CHECK(history.cells == cells);
}

TEMPLATE_TEST_CASE("random maps and unmaps agree with a map of pages", "", Npt_format, Ept_format)
{
    Machine<TestType> m;
    std::mt19937_64 random(11);
    std::map<u64, u64> model;
    constexpr u64 kPages = 4096;
    std::vector<u64> probes;
    for (u64 i = 0; i < kPages; i += 37)
        probes.push_back(i);
    for (int step = 0; step < 250; ++step) {
        const bool aligned = random() % 2 == 0;
        const u64 page     = aligned ? (random() % 8) * 512 : random() % kPages;
        const u64 count    = std::min(kPages - page, aligned ? 512 * (1 + random() % 2) : 1 + random() % 700);
        bool was_there     = false;
        for (u64 i = page; i < page + count; ++i)
            was_there |= model.contains(i);
        Flush flush = Flush::none;
        if (random() % 3 != 0) {
            const u64 frame = aligned ? (random() % 64) * 512 : random() % 100000;
            m.watched(probes, [&] { flush = m.map(page, frame, count); });
            for (u64 i = 0; i < count; ++i)
                model[page + i] = frame + i;
        } else {
            m.watched(probes, [&] { flush = m.unmap(page, count); });
            model.erase(model.lower_bound(page), model.lower_bound(page + count));
        }
        if (was_there)
            REQUIRE(flush != Flush::none);
        for (u64 i = 0; i < kPages; ++i) {
            const auto at = model.find(i);
            REQUIRE(m.frame(i) == (at == model.end() ? std::nullopt : std::optional(at->second)));
        }
    }
}

TEST_CASE("leaves of guests' tables are what the manuals say")
{
    const auto at_boot = Nested_format::places;
    const auto leaf    = [](const Nested_format::Places& places, unsigned level, Leaf_attributes attributes) {
        Nested_format::places = places;
        return Nested_format::leaf(Hpa(0x1c0000000), level, attributes);
    };
    CHECK(leaf(Nested_format::npt, 1, {true, true, false}) == 0x1c0000007);
    CHECK(leaf(Nested_format::npt, 2, {false, false, true}) == (0x1c000009d | bit(63)));
    CHECK(leaf(Nested_format::ept, 1, {true, true, false, 9}) == (0x1c0000037 | 9ull << 52));
    CHECK(leaf(Nested_format::ept, 2, {false, false, true}) == 0x1c0000081);
    Nested_format::places = at_boot;
}

// SPDX-License-Identifier: Apache-2.0
//
// Memory for the page-table engine that remembers every write in order, so that a test can step through all
// the states another CPU could have seen. Tables come from a counter and are checked for leaks, double frees
// and for being written after they were given back.
#pragma once

#include "base/expected.hpp"

#include <map>
#include <set>
#include <stdexcept>
#include <vector>

namespace vmm::fakes
{

struct History {
    struct Write {
        u64 at;
        u64 value;
    };
    std::map<u64, u64> cells;
    std::vector<Write> writes;
    std::set<u64> live_tables;
    u64 next_table = 0x10000000;
    u64 limit      = ~0ull; // tables that can be had
};

inline History history;

struct History_memory {
    static u64 read(Hpa at)
    {
        const auto cell = history.cells.find(at.value());
        return cell == history.cells.end() ? 0 : cell->second;
    }
    static void write(Hpa at, u64 value)
    {
        if (!history.live_tables.contains(at.value() & ~kPageMask))
            throw std::logic_error("write into memory that is no table");
        history.cells[at.value()] = value;
        history.writes.push_back({at.value(), value});
    }
    static u64 exchange(Hpa at, u64 value)
    {
        const u64 old = read(at);
        write(at, value);
        return old;
    }
};

struct History_tables {
    Expected<Hpa> allocate()
    {
        if (history.live_tables.size() >= history.limit)
            return fail(Errc::enomem);
        const u64 table = history.next_table += kPageSize;
        history.live_tables.insert(table);
        return Hpa(table);
    }
    void free(Hpa table)
    {
        if (history.live_tables.erase(table.value()) != 1)
            throw std::logic_error("table freed twice");
    }
};

} // namespace vmm::fakes

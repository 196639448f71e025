// SPDX-License-Identifier: Apache-2.0
// Domains that begin with the memory of others, for long: what each has to see is kept beside, in a plain
// picture.
#include "memory_op/fork_world.hpp"

#include "mm/reservation.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>

using namespace vmm;
using namespace vmm::test;

namespace
{

// Several domains and a plain picture of what each has to see.
class History
{
  public:
    explicit History(unsigned seed) : random_(seed) { found(); }

    void step()
    {
        const unsigned which = below(100);
        if (domains_.empty() || which < 3)
            return found();
        Subject& s = domains_[below(domains_.size())];
        if (which < 10)
            return branch(s);
        if (which < 13)
            return end(s);
        const u64 gfn = random_gfn();
        if (which < 60)
            return write_somewhere(s, gfn);
        if (which < 70)
            return give_up_some(s, gfn);
        if (which < 80)
            return take_some(s, gfn);
        if (which < 90)
            return hold_some(s, gfn);
        release_some();
    }

    void check()
    {
        std::map<u64, u64> sharers; // of frames in common
        u64 expected_promise = 0;
        for (Subject& s : domains_) {
            u64 common = 0;
            for (u64 gfn = 0; gfn < kEnd; ++gfn) {
                const P2m_entry at = s.domain->p2m().lookup(Gfn(gfn));
                REQUIRE(at.present() == s.pages.contains(gfn));
                if (!at.present())
                    continue;
                REQUIRE(read(*s.domain, gfn) == s.pages[gfn]);
                common += at.type == P2m_type::ram_common;
                if (at.type == P2m_type::ram_common)
                    ++sharers[at.mfn.value()];
            }
            REQUIRE(s.domain->owned_frames() == s.pages.size() + gone_but_held(s));
            REQUIRE(s.domain->memory().shared() == common);
        }
        REQUIRE(frames.common_count() == sharers.size());
        for (const auto& [mfn, count] : sharers)
            expected_promise += count - 1;
        REQUIRE(frames.saved_count() == expected_promise);
        REQUIRE(frames.promised_count() >= expected_promise);
        // Beyond that there are a table for each large mapping at most, and the last copies.
        REQUIRE(frames.promised_count() <= expected_promise + domains_.size() * kRegions + kLastCopies);
    }

    void finish()
    {
        while (!held_.empty())
            release_some();
        while (!domains_.empty())
            end(domains_.front());
        CHECK(frames.promised_count() <= kLastCopies);
        CHECK(frames.common_count() == 0);
        CHECK(world_.memory.all_free());
    }

  private:
    static constexpr u64 kEnd     = 2048;
    static constexpr u64 kRegions = kEnd / 512;

    struct Subject {
        Domain* domain;
        std::map<u64, u64> pages;
    };
    struct Held { // as by a mapping of somebody else's
        Domain* domain;
        u64 gfn;
        Mfn mfn;
    };

    unsigned below(u64 n) { return static_cast<unsigned>(random_() % n); }
    u64 random_gfn() { return below(kEnd); }

    void found()
    {
        if (domains_.size() >= 6)
            return;
        domains_.push_back({&world_.make(next_++, false, kEmpty), {}});
        for (u64 region = 0; region < kRegions; ++region)
            take_some(domains_.back(), region * 512);
    }

    void branch(Subject& parent)
    {
        if (domains_.size() >= 6 || parent.pages.empty())
            return;
        Domain& child = world_.make(next_++, false, kEmpty);
        if (child.claim_frames(parent.domain->owned_frames()) && fork(child, *parent.domain)) {
            domains_.push_back({&child, parent.pages});
            return;
        }
        frames.withdraw_promise(child.take_claim());
        world_.destroy(child);
    }

    void end(Subject& s)
    {
        Domain* const domain = s.domain;
        std::erase_if(domains_, [&](const Subject& one) { return one.domain == domain; });
        std::erase_if(held_, [&](const Held& one) {
            if (one.domain == domain)
                frames.put(one.mfn);
            return one.domain == domain;
        });
        world_.destroy(*domain);
    }

    void write_somewhere(Subject& s, u64 gfn)
    {
        if (!s.pages.contains(gfn))
            return;
        REQUIRE(write(*s.domain, gfn, ++value_));
        s.pages[gfn] = value_;
    }

    void give_up_some(Subject& s, u64 gfn)
    {
        const unsigned order = below(10);
        gfn                  = align_down(gfn, bit(order));
        static_cast<void>(give_up(*s.domain, Gfn(gfn), order));
        for (u64 i = 0; i < bit(order); ++i)
            s.pages.erase(gfn + i);
    }

    void take_some(Subject& s, u64 gfn)
    {
        const unsigned order = below(3) == 0 ? 9 : below(4);
        gfn                  = align_down(gfn, bit(order));
        const bool taken     = populate(*s.domain, Gfn(gfn), order).has_value();
        for (u64 i = 0; i < bit(order); ++i) {
            s.pages.erase(gfn + i);
            if (taken)
                s.pages[gfn + i] = 0;
        }
    }

    void hold_some(Subject& s, u64 gfn)
    {
        const Mfn mfn = s.domain->p2m().hold_own(Gfn(gfn));
        REQUIRE((mfn != kInvalidMfn) == s.pages.contains(gfn));
        if (mfn != kInvalidMfn)
            held_.push_back({s.domain, gfn, mfn});
    }

    // Who holds a page writes to it.
    void release_some()
    {
        if (held_.empty())
            return;
        const Held one            = held_.back();
        const auto subject        = std::find_if(domains_.begin(), domains_.end(),
                                                 [&](const Subject& s) { return s.domain == one.domain; });
        *to_virtual<u64>(one.mfn) = ++value_;
        if (one.domain->p2m().lookup(Gfn(one.gfn)).mfn == one.mfn)
            subject->pages[one.gfn] = value_;
        frames.mark_written(one.mfn);
        frames.put(one.mfn);
        held_.pop_back();
    }

    u64 gone_but_held(const Subject& s)
    {
        std::set<u64> gone;
        for (const Held& one : held_) {
            if (one.domain == s.domain && one.domain->p2m().lookup(Gfn(one.gfn)).mfn != one.mfn)
                gone.insert(one.mfn.value());
        }
        return gone.size();
    }

    std::mt19937 random_;
    World world_{16384};
    std::vector<Subject> domains_;
    std::vector<Held> held_;
    u16 next_  = 1;
    u64 value_ = 0;
};

} // namespace

TEST_CASE("a long history of forks, writes, holds, ballooning and ends leaves each domain what is its own")
{
    const unsigned seed = GENERATE(1, 2, 3, 4);
    History history(seed);
    for (unsigned i = 0; i < 1500; ++i) {
        history.step();
        if (i % 50 == 0)
            history.check();
    }
    history.check();
    history.finish();
}

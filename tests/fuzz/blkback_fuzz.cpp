// SPDX-License-Identifier: Apache-2.0
// Hostile block frontends against the backend's queues, the same sequence for the same seed. The guest writes
// rubbish and half-sensible requests into its ring, changes it while it is being read, grants and revokes
// pages at will and goes away in the middle. Whatever it does:
//  - nothing is read or written out of bounds or after it was given back (the sanitizers and real mappings
//    watch), and the disk is never asked for what it has not;
//  - pages that are not granted keep their content;
//  - at most one answer for each request taken, and all memory and all mappings come back.
// Usage: blkback_fuzz [first seed] [how many seeds]
#include "fake_disk.hpp"
#include "frontend.hpp"
#include "guest-drivers/backend/queue.hpp"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>

using namespace vmm;
using namespace vmm::block;
using namespace vmm::block::test;

namespace
{

constexpr std::size_t kPages         = 64;
constexpr std::size_t kSecretPages   = 8; // the last ones, never granted
constexpr std::uint64_t kSectors     = 512;
constexpr unsigned kSteps            = 120;
constexpr std::size_t kMostRingPages = 4;

void require(bool holds, unsigned seed, const char* what)
{
    if (!holds) {
        std::fprintf(stderr, "seed %u: %s\n", seed, what);
        std::exit(1);
    }
}

class Hostile
{
  public:
    explicit Hostile(unsigned seed)
        : seed_(seed), random_(seed), ring_pages_(std::size_t{1} << below(3)),
          abi_(below(4) == 0 ? protocol::Block_abi::x86_32 : protocol::Block_abi::x86_64),
          front_(kPages, ring_pages_), disk_(kSectors, below(2) == 0), buffers_(Buffer_pool::kLargest),
          complaints_("fuzz", [](std::string_view) {})
    {
        for (std::size_t i = kPages - kSecretPages; i < kPages; ++i) {
            front_.guest.revoke(Frontend::ref(i));
            std::memset(front_.guest.page(i), 0x5a, kPageSize);
        }
        disk_.shape().read_only = below(8) == 0;
        disk_.shape().discard   = below(4) != 0;
        if (below(2) == 0) {
            kept_.emplace(front_.guest, 1 + below(40));
        }
        ring_memory_ = front_.map_ring();
        connect();
        front_.guest.on_call = [this] { meddle(); };
    }

    void run()
    {
        for (unsigned step = 0; step < kSteps; ++step) {
            act();
            check_counters();
        }
        end();
    }

  private:
    unsigned below(unsigned n) { return static_cast<unsigned>(random_()) % n; }
    std::uint64_t odd_number()
    {
        switch (below(4)) {
        case 0: return below(kSectors);
        case 1: return kSectors - below(10);
        case 2: return ~std::uint64_t{0} - below(10);
        default: return std::uint64_t{random_()} << below(33);
        }
    }

    void connect()
    {
        queue_.emplace(
            ring_memory_.bytes(), abi_, log_.queue(0),
            Queue::Services{front_.guest, kept_ ? &*kept_ : nullptr, disk_, buffers_, complaints_});
        slots_ = protocol::ring_slots(ring_memory_.bytes().size(), protocol::block_slot_size(abi_));
    }

    protocol::Ring_head& head() { return *reinterpret_cast<protocol::Ring_head*>(front_.guest.page(0)); }
    std::byte* slot(std::uint32_t counter)
    {
        return front_.guest.page(0) + sizeof(protocol::Ring_head) +
               std::size_t{counter % slots_} * protocol::block_slot_size(abi_);
    }

    blkif_request_segment segment()
    {
        blkif_request_segment segment{};
        segment.gref       = below(20) == 0 ? static_cast<grant_ref_t>(random_())
                                            : Frontend::ref(kMostRingPages + below(kPages - kMostRingPages));
        segment.first_sect = static_cast<std::uint8_t>(below(10) == 0 ? random_() : below(8));
        segment.last_sect  = static_cast<std::uint8_t>(below(10) == 0 ? random_() : 7);
        return segment;
    }

    // A request that makes some sense, in either layout.
    template <class U64>
    void write_request(std::byte* to)
    {
        using namespace protocol::wire;
        const unsigned kind = below(10);
        if (kind == 0) {
            const Discard<U64> discard{BLKIF_OP_DISCARD,     0, 0, U64::of(random_()), U64::of(odd_number()),
                                       U64::of(odd_number())};
            std::memcpy(to, &discard, sizeof discard);
        } else if (kind < 4) {
            Indirect<U64> indirect{};
            indirect.operation     = BLKIF_OP_INDIRECT;
            indirect.indirect_op   = static_cast<std::uint8_t>(below(10) == 0 ? random_() : below(2));
            indirect.nr_segments   = static_cast<std::uint16_t>(below(5) == 0 ? random_() : below(48));
            indirect.sector_number = U64::of(below(3) == 0 ? odd_number() : below(16));
            for (grant_ref_t& ref : indirect.indirect_grefs) {
                ref = segment().gref;
            }
            std::memcpy(to, &indirect, sizeof indirect);
        } else {
            Request<U64> request{};
            request.operation     = static_cast<std::uint8_t>(below(12) == 0 ? random_() : below(4));
            request.nr_segments   = static_cast<std::uint8_t>(below(10) == 0 ? random_() : below(12));
            request.id            = U64::of(random_());
            request.sector_number = U64::of(below(3) == 0 ? odd_number() : below(kSectors));
            for (blkif_request_segment& each : request.seg) {
                each = segment();
            }
            std::memcpy(to, &request, sizeof request);
        }
    }
    void write_request(std::byte* to)
    {
        abi_ == protocol::Block_abi::x86_64 ? write_request<protocol::wire::Whole>(to)
                                            : write_request<protocol::wire::Halves>(to);
    }

    // The guest at work while the backend is: in its ring, in its data, in its grants.
    void meddle()
    {
        switch (below(6)) {
        case 0: write_request(slot(random_())); break;
        case 1: // not in the counters: they are what the answers are counted by
            front_.guest.page(below(kPages - kSecretPages))[64 + below(kPageSize - 64)] =
                static_cast<std::byte>(random_());
            break;
        case 2: front_.guest.revoke(segment().gref); break;
        case 3: regrant(); break;
        default: break;
        }
    }
    void regrant()
    {
        const std::size_t page = kMostRingPages + below(kPages - kSecretPages - kMostRingPages);
        front_.guest.grant(Frontend::ref(page), page,
                           below(4) == 0 ? Fake_guest::Grant::read_only : Fake_guest::Grant::read_write);
    }
    void write_segments()
    {
        auto* page = reinterpret_cast<blkif_request_segment*>(
            front_.guest.page(kMostRingPages + below(kPages - kSecretPages - kMostRingPages)));
        for (unsigned i = 0; i < 48; ++i) {
            page[i] = segment();
        }
    }

    void act()
    {
        switch (below(12)) {
        case 0: meddle(); break;
        case 1: write_segments(); break;
        case 2: regrant(); break;
        case 3: disk_.fail_with = below(3) == 0 ? EIO : 0; break;
        case 4: head().response_event = static_cast<std::uint32_t>(random_()); break;
        case 5:
            if (below(20) == 0) {
                head().request_producer = static_cast<std::uint32_t>(random_());
            }
            break;
        case 6:
            for (unsigned count = below(8); count > 0 && !disk_.started.empty(); --count) {
                disk_.end_one(below(static_cast<unsigned>(disk_.started.size())));
            }
            break;
        case 7: settle(); break;
        default: ask(); break;
        }
    }

    void ask()
    {
        for (unsigned count = 1 + below(slots_); count > 0; --count) {
            write_request(slot(head().request_producer++));
            if (head().request_producer - head().response_producer >= slots_) {
                break;
            }
        }
        queue_->serve();
        settle();
    }
    void settle()
    {
        do {
            (void)queue_->settle();
            queue_->serve();
        } while (queue_->starved() && queue_->under_way() == 0);
        (void)queue_->settle();
    }

    void check_counters()
    {
        const std::uint32_t answered = head().response_producer - answered_before_;
        require(answered <= slots_ * 4, seed_, "more answers than requests can have been taken");
        answered_before_ = head().response_producer;
        require(disk_.history.size() < 1u << 20, seed_, "one step does not end");
        require(!disk_.asked_too_far, seed_, "the disk was asked for what it has not");
        require(queue_->under_way() == disk_.started.size(), seed_, "operations are lost");
    }

    void end()
    {
        queue_->close();
        kept_.reset();
        disk_.end_all();
        require(queue_->under_way() == 0, seed_, "operations do not end");
        for (std::size_t i = kPages - kSecretPages; i < kPages; ++i) {
            for (std::size_t at = 0; at < kPageSize; ++at) {
                require(front_.guest.page(i)[at] == std::byte{0x5a}, seed_,
                        "a page that is not granted changed");
            }
        }
        queue_.reset();
        ring_memory_.reset();
        require(front_.guest.mapped == 0, seed_, "pages stay mapped");
    }

    unsigned seed_;
    std::mt19937 random_;
    std::size_t ring_pages_;
    protocol::Block_abi abi_;
    Frontend front_;
    Fake_disk disk_;
    Buffer_pool buffers_;
    Complaints complaints_;
    std::optional<Kept_grants> kept_;
    Request_log log_ = Request_log::open("").value();
    Mapped_pages ring_memory_;
    std::optional<Queue> queue_;
    std::uint32_t slots_           = 0;
    std::uint32_t answered_before_ = 0;
};

} // namespace

int main(int argc, char** argv)
{
    const unsigned first = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 1;
    const unsigned count = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 800;
    for (unsigned seed = first; seed < first + count; ++seed) {
        Hostile(seed).run();
    }
    std::printf("%u hostile frontends, from seed %u\n", count, first);
    return 0;
}

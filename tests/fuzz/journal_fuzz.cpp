// SPDX-License-Identifier: Apache-2.0
// Journals of random stores, cut, damaged, or rewritten with checksums that hold. Whatever the bytes are:
//  - reading them stays in bounds and ends (the sanitizers watch);
//  - a journal that was only cut gives exactly the state after the records before the cut;
//  - what is read can be taken up by a store, whose books are then right.
// Usage: journal_fuzz [first seed] [how many seeds]
#include "random_requests.hpp"

#include "toolstack/store/journal.hpp"

#include <cstdio>
#include <cstdlib>

using namespace vmm;
using namespace vmm::store;
using namespace vmm::store::test;
using State = Journal::Found::State;

namespace
{

void require(bool holds, unsigned seed, const char* what)
{
    if (!holds) {
        std::fprintf(stderr, "seed %u: %s\n", seed, what);
        std::exit(1);
    }
}

struct Written {
    std::vector<std::string> records;
    std::vector<Store_image> images; // after each record
};

Written write(Random& random)
{
    Written written;
    Noted_world world;
    Store_image image = world.image();
    written.records.push_back(image.to_record());
    written.images.push_back(image);
    world.record.clear();
    for (int i = 0; i < 25; ++i) {
        world.step(random);
        world.note_positions();
        written.records.push_back(world.record.take());
        static_cast<void>(image.apply(written.records.back()));
        written.images.push_back(image);
    }
    return written;
}

void check_can_be_taken_up(const Store_image& image, unsigned seed)
{
    Store store(Quotas{});
    require(store.restore(image).has_value(), seed, "an image that was read cannot be restored");
    std::map<Domid, std::size_t> owners;
    Store_image saved;
    store.save(saved);
    for (const auto& [path, node] : saved.nodes) {
        ++owners[node.permissions.front().domid];
    }
    for (const auto& [domid, nodes] : owners) {
        require(store.nodes_owned_by(domid) == nodes, seed, "the count of owned nodes is wrong");
    }
    for (const auto& [domid, saved_session] : image.sessions) {
        Session session(store, domid, [] {});
        require(session.restore(saved_session).has_value(), seed, "a session cannot be restored");
        static_cast<void>(store.watches().covering("/a/b"));
    }
}

void cut(const Written& written, Random& random, unsigned seed)
{
    std::string bytes;
    std::vector<std::size_t> ends;
    for (const std::string& record : written.records) {
        bytes += framed(record);
        ends.push_back(bytes.size());
    }
    const std::size_t length = random.below(static_cast<unsigned>(bytes.size() + 1));
    const auto found         = read_records(std::string_view(bytes).substr(0, length));
    std::size_t whole        = 0;
    while (whole < ends.size() && ends[whole] <= length) {
        ++whole;
    }
    const bool on_edge = length == (whole == 0 ? 0 : ends[whole - 1]);
    require(found.state == (on_edge ? State::whole : State::cut_short), seed, "a cut was not noticed");
    require(found.image == (whole == 0 ? Store_image{} : written.images[whole - 1]), seed,
            "a cut journal gives a state that never was");
}

void damage(std::string& bytes, Random& random)
{
    for (unsigned count = 1 + random.below(4); count > 0 && !bytes.empty(); --count) {
        const std::size_t at = random.below(static_cast<unsigned>(bytes.size()));
        switch (random.below(3)) {
        case 0: bytes[at] = static_cast<char>(random.engine()); break;
        case 1: bytes.erase(at, 1 + random.below(8)); break;
        default: bytes.insert(at, 1 + random.below(8), static_cast<char>(random.below(20))); break;
        }
    }
}

void run(unsigned seed)
{
    Random random(seed);
    Written written = write(random);
    for (int i = 0; i < 10; ++i) {
        cut(written, random, seed);
    }
    std::string raw;
    std::string resealed;
    for (const std::string& record : written.records) {
        raw += framed(record);
        std::string changed = record;
        if (random.below(8) == 0) {
            damage(changed, random);
        }
        resealed += framed(changed);
    }
    damage(raw, random);
    check_can_be_taken_up(read_records(raw).image, seed);
    check_can_be_taken_up(read_records(resealed).image, seed);
}

} // namespace

int main(int argc, char** argv)
{
    const unsigned first = argc > 1 ? static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)) : 1;
    const unsigned count = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10)) : 1000;
    for (unsigned seed = first; seed != first + count; ++seed) {
        run(seed);
    }
    std::printf("%u seeds\n", count);
    return 0;
}

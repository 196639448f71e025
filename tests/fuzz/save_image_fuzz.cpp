// SPDX-License-Identifier: Apache-2.0
// Files of saved domains, damaged as bytes or rewritten with checksums that hold, restored into a domain.
// Whatever they are:
//  - reading them stays in bounds and ends (the sanitizers watch);
//  - a file whose bytes were changed is refused;
//  - no domain gets more memory than its limit, nor any outside of where domains have it;
//  - no view of a domain stays behind.
// Usage: save_image_fuzz [first seed] [how many seeds]
#include "fake_hypervisor.hpp"
#include "save_fixture.hpp"

#include "toolstack/save/memory_image.hpp"
#include "toolstack/save/saved_domain.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

using namespace vmm;
using namespace vmm::save;
using namespace vmm::save::test;
using vmm::test::Fake_hypervisor;

namespace
{

constexpr std::uint64_t kLimit = 4096;

void require(bool holds, unsigned seed, const char* what)
{
    if (!holds) {
        std::fprintf(stderr, "seed %u: %s\n", seed, what);
        std::exit(1);
    }
}

struct Random {
    std::mt19937 engine;
    std::uint64_t below(std::uint64_t limit) { return engine() % limit; }
};

// A frame near a place where something changes.
std::uint64_t frame_near_an_edge(Random& random)
{
    constexpr std::uint64_t kEdges[] = {0,
                                        512,
                                        2048,
                                        raw(gfn_of(kLowRamEnd)),
                                        raw(gfn_of(kAcpiAddress)),
                                        raw(gfn_of(kSpecialPages)),
                                        raw(kStorePage),
                                        raw(kConsolePage),
                                        raw(gfn_of(kHighRamStart)),
                                        kFrameNumbers};
    return kEdges[random.below(std::size(kEdges))] + random.below(8) - random.below(4);
}

const std::string kDescription =
    R"({"config":{"name":"a","kernel":"/k"},"uuid":"01234567-89ab-cdef-0123-456789abcdef",)"
    R"("static_max_kib":1,"target_kib":1,"overhead_kib":0,"store_port":1,"console_port":1,)"
    R"("memory_kib":1,"saved_at":0,"hypervisor":"","cpu_policy":[[0,4294967295,13,1,2,3]]})";

std::string description(Random& random)
{
    std::string text = kDescription;
    if (random.below(2) == 0) {
        text[random.below(text.size())] = static_cast<char>(random.engine());
    }
    return text;
}

// Mostly right, with here and there a field that is not.
std::string made_up(Random& random)
{
    Raw_image image;
    std::uint64_t next = 0;
    for (std::uint64_t count = random.below(8); count > 0; --count) {
        Record_header header;
        std::string payload;
        header.type = static_cast<Record_type>(random.below(16) == 0 ? random.below(8) : 1 + random.below(3));
        header.flags = random.below(16) == 0 ? 1U << random.below(32) : 0;
        if (header.type == Record_type::frames || header.type == Record_type::zero_frames) {
            header.first = random.below(4) == 0 ? frame_near_an_edge(random) : next + random.below(3);
            header.count = random.below(16) == 0 ? random.engine() : 1 + random.below(600);
            next         = header.first + header.count;
        }
        if (header.type == Record_type::frames) {
            payload      = frames_of(1 + (header.count - 1) % 3, random.engine());
            header.count = random.below(16) == 0 ? header.count : payload.size() / kPageSize;
            next         = header.first + header.count;
        } else if (header.type != Record_type::zero_frames) {
            payload = description(random);
        }
        image.add(header, payload);
    }
    return random.below(8) == 0 ? image.bytes() : image.end().bytes();
}

void damage(std::string& bytes, Random& random)
{
    const std::size_t at = random.below(bytes.size());
    switch (random.below(3)) {
    case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 + random.below(255))); break;
    case 1: bytes.resize(at); break;
    default: bytes.insert(at, 1 + random.below(8), static_cast<char>(random.engine())); break;
    }
}

// As a restore would, but never stopping at what it could go on after. True: nothing was wrong.
bool restore(const std::string& path, Fake_hypervisor& hypervisor, unsigned seed)
{
    auto reader = Image_reader::open(path);
    if (!reader) {
        return false;
    }
    const Domid id     = *hypervisor.create({});
    const auto memory  = read_memory(hypervisor, id, *reader, kLimit, {});
    const auto& domain = hypervisor.domain(id);
    require(domain.pages() <= kLimit, seed, "a domain got more memory than its limit");
    require(*domain.views == 0, seed, "a view of the domain is left");
    for (const std::uint64_t frame : domain.populated_4k) {
        const std::uint64_t at = frame * kPageSize;
        require(at < kLowRamEnd || (at >= kAcpiAddress && at < kSpecialPages) || at >= kHighRamStart ||
                    frame == raw(kStorePage) || frame == raw(kConsolePage),
                seed, "a domain got memory where none belongs");
    }
    for (;;) {
        const auto record = reader->next();
        if (!record) {
            return false;
        }
        if (record->type == Record_type::description) {
            static_cast<void>(decode(record->payload));
        }
        if (record->type == Record_type::end) {
            return memory.has_value();
        }
    }
}

void run(unsigned seed, const std::string& path)
{
    Random random{std::mt19937(seed)};
    Fake_hypervisor hypervisor;
    std::string bytes = made_up(random);
    write_file(path, bytes);
    static_cast<void>(restore(path, hypervisor, seed));
    damage(bytes, random);
    write_file(path, bytes);
    require(!restore(path, hypervisor, seed), seed, "a damaged file was taken for a good one");
}

} // namespace

int main(int argc, char** argv)
{
    const unsigned first = argc > 1 ? static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)) : 1;
    const unsigned count = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10)) : 500;
    require(decode(std::as_bytes(std::span(kDescription))).has_value(), first,
            "the description that all begin with is refused");
    const Temporary_directory directory;
    for (unsigned seed = first; seed != first + count; ++seed) {
        run(seed, directory.file("a"));
    }
    std::printf("%u seeds\n", count);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// The memory of domains to a file and back, over a hypervisor made of ordinary memory.
#include "fake_hypervisor.hpp"
#include "save_fixture.hpp"

#include "toolstack/save/memory_image.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <set>

using namespace vmm;
using namespace vmm::save;
using namespace vmm::save::test;
using vmm::test::Fake_domain;
using vmm::test::Fake_hypervisor;

namespace
{

constexpr std::uint64_t kNoLimit = 1 << 20;
constexpr std::uint64_t kMib     = 1 << 20;

struct Memory {
    Temporary_directory directory;
    std::string path = directory.file("a");
    Fake_hypervisor hypervisor;
    Domid from = *hypervisor.create({});
    Domid to   = *hypervisor.create({});
    Guest_layout layout{16 * kMib, 8 * kMib, 0, 0, 3 * kPageSize};

    void populate(std::uint64_t first, std::uint64_t count, unsigned order = 0)
    {
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::uint64_t frame = first + (i << order);
            REQUIRE(*hypervisor.populate(from, std::span(&frame, 1), order) == 1);
        }
    }

    void fill(std::uint64_t first, std::uint64_t count, unsigned seed)
    {
        const std::string content = frames_of(count, seed);
        std::memcpy(hypervisor.domain(from).memory + first * kPageSize, content.data(), content.size());
    }

    // All kinds of frames beside one another: absent, zero and with contents, and the places beside RAM.
    void make_varied(unsigned seed)
    {
        std::mt19937 engine(seed);
        const auto area = [&](std::uint64_t first, std::uint64_t count) {
            for (std::uint64_t done = 0; done < count;) {
                const std::uint64_t run = std::min<std::uint64_t>(1 + engine() % 300, count - done);
                const unsigned kind     = engine() % 4;
                if (kind != 0) {
                    populate(first + done, run);
                }
                if (kind > 1) {
                    fill(first + done, run, engine());
                }
                done += run;
            }
        };
        area(0, 1024);
        populate(1024, 4, 9);
        fill(1500, 700, engine());
        area(3072, 1024);
        area(raw(gfn_of(kHighRamStart)), 2048);
        populate(raw(gfn_of(kAcpiAddress)), 3);
        fill(raw(gfn_of(kAcpiAddress)), 2, engine());
        populate(raw(kStorePage), 1);
        populate(raw(kConsolePage), 1);
        fill(raw(kConsolePage), 1, engine());
    }

    Result<Memory_counts> save(Compression compression, const Progress& progress = {})
    {
        auto writer = Image_writer::create(path, compression);
        REQUIRE(writer);
        auto counts = write_memory(hypervisor, from, layout, *writer, progress);
        REQUIRE(writer->put(Record_type::processors, bytes_of("cpu")));
        REQUIRE(writer->finish());
        return counts;
    }

    Result<Memory_counts> restore(std::uint64_t limit = kNoLimit, const Progress& progress = {})
    {
        auto reader = Image_reader::open(path);
        REQUIRE(reader);
        auto counts = read_memory(hypervisor, to, *reader, limit, progress);
        if (counts) {
            const auto next = reader->next();
            REQUIRE(next);
            CHECK(text_of(next->payload) == "cpu");
        }
        return counts;
    }

    std::string restore_error(std::uint64_t limit = kNoLimit)
    {
        const auto counts = restore(limit);
        CHECK(*hypervisor.domain(to).views == 0);
        return counts ? "none" : counts.error().message;
    }

    void check_same()
    {
        Fake_domain& a = hypervisor.domain(from);
        Fake_domain& b = hypervisor.domain(to);
        CHECK(a.pages() == b.pages());
        const auto area = [&](std::uint64_t first, std::uint64_t bytes) {
            for (std::uint64_t frame = first; frame < first + bytes / kPageSize; ++frame) {
                REQUIRE(a.has(frame) == b.has(frame));
                if (a.has(frame)) {
                    REQUIRE(std::memcmp(a.memory + frame * kPageSize, b.memory + frame * kPageSize,
                                        kPageSize) == 0);
                }
            }
        };
        area(0, layout.low_ram);
        area(raw(gfn_of(kHighRamStart)), layout.high_ram);
        area(raw(gfn_of(kAcpiAddress)), layout.acpi_size);
        area(raw(gfn_of(kSpecialPages)), kSpecialPagesEnd - kSpecialPages);
        CHECK(*a.views == 0);
        CHECK(*b.views == 0);
    }

    void write_raw(const std::vector<Record_header>& records)
    {
        Raw_image image;
        for (const Record_header& record : records) {
            image.add(record,
                      record.type == Record_type::frames ? frames_of(record.count, 1) : std::string());
        }
        Record_header processors;
        processors.type = Record_type::processors;
        write_file(path, image.add(processors, "cpu").end().bytes());
    }
};

Record_header zeros(std::uint64_t first, std::uint64_t count)
{
    Record_header header;
    header.type  = Record_type::zero_frames;
    header.first = first;
    header.count = count;
    return header;
}

Record_header data(std::uint64_t first, std::uint64_t count)
{
    Record_header header = zeros(first, count);
    header.type          = Record_type::frames;
    return header;
}

} // namespace

TEST_CASE_METHOD(Memory, "A domain gets back the memory it had, where it had it")
{
    const unsigned seed    = GENERATE(1U, 2U, 3U);
    const auto compression = GENERATE(Compression::none, Compression::zstd);
    const auto fresh       = GENERATE(std::byte{0}, std::byte{0xc2});
    const auto large       = GENERATE(std::size_t{2}, SIZE_MAX);
    make_varied(seed);
    hypervisor.fresh_memory  = fresh;
    hypervisor.large_extents = large;
    std::uint64_t told       = 0;
    const auto saved         = save(compression, [&](std::uint64_t done, std::uint64_t pages) {
        CHECK(done > told);
        CHECK(pages == layout.pages());
        told = done;
        return true;
    });
    REQUIRE(saved);
    CHECK(told == layout.pages());
    CHECK(saved->present == hypervisor.domain(from).pages());
    const auto restored = restore();
    REQUIRE(restored);
    CHECK(restored->present == saved->present);
    CHECK(restored->zero == saved->zero);
    check_same();
}

TEST_CASE_METHOD(Memory, "Blocks of 2 MiB that were whole are given whole, however records cut them")
{
    populate(0, 8, 9); // RAM
    populate(raw(gfn_of(kHighRamStart)), 4, 9);
    fill(700, 1, 1); // zeros, contents and again zeros in one block
    fill(2000, 600, 2);
    REQUIRE(save(Compression::none));
    REQUIRE(restore());
    check_same();
    CHECK(hypervisor.domain(to).populated_2m == hypervisor.domain(from).populated_2m);

    SECTION("and in pages where the hypervisor has no such block left")
    {
        const Domid first        = to;
        to                       = *hypervisor.create({});
        hypervisor.large_extents = 3;
        REQUIRE(restore());
        check_same();
        CHECK(hypervisor.domain(to).populated_2m.size() == 3);
        CHECK(hypervisor.domain(to).pages() == hypervisor.domain(first).pages());
    }
}

TEST_CASE_METHOD(Memory, "Zeros cost nothing: not in the file, and no look at fresh memory but one")
{
    populate(0, 8, 9);
    populate(raw(gfn_of(kHighRamStart)), 4, 9);
    const auto saved = save(Compression::none);
    REQUIRE(saved);
    CHECK(saved->zero == saved->present);
    CHECK(read_file(path).size() < 300);
    const std::uint64_t mapped = hypervisor.pages_mapped;
    REQUIRE(restore());
    CHECK(hypervisor.pages_mapped == mapped + 1);
    check_same();
}

TEST_CASE_METHOD(Memory, "More memory than the domain may have is refused before it is given")
{
    populate(0, 8, 9);
    REQUIRE(save(Compression::none));
    CHECK_THAT(restore_error(4095),
               Catch::EndsWith("it holds more memory than the 16380 KiB that its domain may have"));
    CHECK(hypervisor.domain(to).pages() == 0);
    CHECK(restore_error(4096) == "none");
}

TEST_CASE_METHOD(Memory, "Frames in places no domain has, twice or out of order are refused")
{
    const std::uint64_t low_end = raw(gfn_of(kLowRamEnd)), high = raw(gfn_of(kHighRamStart));
    for (const auto& record :
         {zeros(low_end, 1), zeros(low_end - 1, 2), zeros(raw(gfn_of(kAcpiAddress)) - 1, 2),
          zeros(raw(gfn_of(kSpecialPages)), 1), zeros(raw(kStorePage), 2), zeros(raw(kConsolePage) + 1, 1),
          zeros(high - 1, 2), data(raw(kStorePage), 4)}) {
        write_raw({record});
        CHECK(restore_error() == path + " is corrupted at byte 24: no domain has memory at frame " +
                                     std::to_string(record.first) + " and the " +
                                     std::to_string(record.count) + " from there");
        CHECK(hypervisor.domain(to).pages() == 0);
    }
    for (const auto& second : {data(7, 1), zeros(7, 1), zeros(0, 3)}) {
        write_raw({data(3, 5), second});
        CHECK(restore_error() == path + " is corrupted at byte " + std::to_string(24 + 48 + 5 * kPageSize) +
                                     ": frame " + std::to_string(second.first) +
                                     " comes twice or out of order");
    }
    write_raw({zeros(0, 1), data(raw(kConsolePage), 1), zeros(high, 1)});
    CHECK(restore_error() == "none");
}

TEST_CASE_METHOD(Memory, "What the hypervisor refuses is told, with no view left behind")
{
    make_varied(4);
    const std::string operation = GENERATE("map_present", "populate", "map");
    if (operation == "map_present") {
        hypervisor.order_failure(operation, Errc::out_of_memory, 2);
        const auto saved = save(Compression::zstd);
        REQUIRE_FALSE(saved);
        CHECK(saved.error().message == "the fake refused to map_present");
    } else {
        REQUIRE(save(Compression::zstd));
        hypervisor.order_failure(operation, Errc::out_of_memory, 2);
        CHECK(restore_error() == "the fake refused to " + operation);
    }
    CHECK(*hypervisor.domain(from).views == 0);
}

TEST_CASE_METHOD(Memory, "A host that runs out of memory is told so")
{
    populate(0, 8, 9);
    REQUIRE(save(Compression::none));
    hypervisor.free_pages = 1000;
    CHECK(restore_error() == "the hypervisor ran out of memory for domain " + to_string(to));
}

TEST_CASE_METHOD(Memory, "Either way can be cancelled after any piece")
{
    make_varied(5);
    unsigned pieces    = 0;
    const auto stop    = [&](std::uint64_t, std::uint64_t) { return ++pieces < 2; };
    const auto stopped = save(Compression::none, stop);
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().code == Errc::cancelled);
    REQUIRE(save(Compression::none));
    pieces                     = 0;
    const auto stopped_restore = restore(kNoLimit, stop);
    REQUIRE_FALSE(stopped_restore);
    CHECK(stopped_restore.error().code == Errc::cancelled);
    CHECK(*hypervisor.domain(to).views == 0);
}

TEST_CASE_METHOD(Memory, "A file cut inside its memory is refused as that")
{
    make_varied(6);
    REQUIRE(save(Compression::zstd));
    const std::string whole = read_file(path);
    write_file(path, whole.substr(0, whole.size() / 2));
    CHECK_THAT(restore_error(), Catch::StartsWith(path + " is truncated: "));
}

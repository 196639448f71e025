// SPDX-License-Identifier: Apache-2.0
// Files that are cut, changed, of others, or made to deceive: each is refused, and says why in one line.
#include "save_fixture.hpp"

#include <catch2/catch.hpp>
#include <zstd.h>

using namespace vmm;
using namespace vmm::save;
using namespace vmm::save::test;

namespace
{

std::string small_file(const std::string& path)
{
    auto writer = Image_writer::create(path, Compression::zstd);
    REQUIRE(writer);
    REQUIRE(writer->put(Record_type::description, bytes_of(R"({"a":1})")));
    REQUIRE(writer->put_frames(1, bytes_of(std::string(kPageSize, 'x'))));
    REQUIRE(writer->put_zero_frames(2, 7));
    REQUIRE(writer->put(Record_type::processors, bytes_of("cpu")));
    REQUIRE(writer->finish());
    return read_file(path);
}

struct Damage {
    Temporary_directory directory;
    std::string path = directory.file("a");

    std::string error_of(std::string_view content)
    {
        write_file(path, content);
        return first_error(path);
    }
    std::string corrupted(std::size_t at, std::string_view why) const
    {
        return path + " is corrupted at byte " + std::to_string(at) + ": " + std::string(why);
    }
};

constexpr std::size_t kFirst = sizeof(File_header); // where the first record begins

std::string compressed(const std::string& text)
{
    std::string out(ZSTD_compressBound(text.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
    return out;
}

} // namespace

TEST_CASE_METHOD(Damage, "Every changed bit is noticed")
{
    std::string content = small_file(path);
    REQUIRE(content.size() < 500);
    for (std::size_t bit = 0; bit < content.size() * 8; ++bit) {
        const char was   = content[bit / 8];
        content[bit / 8] = static_cast<char>(was ^ (1 << bit % 8));
        INFO("bit " << bit);
        REQUIRE_FALSE(error_of(content).empty());
        content[bit / 8] = was;
    }
    CHECK(error_of(content).empty());
}

TEST_CASE_METHOD(Damage, "A file that was cut anywhere is said to be truncated")
{
    const std::string content = small_file(path);
    for (std::size_t size = 1; size < content.size(); ++size) {
        REQUIRE_THAT(
            error_of(content.substr(0, size)),
            Catch::StartsWith(path + " is truncated: it ends at byte " + std::to_string(size) + ", "));
    }
    CHECK(error_of("") == path + " was not written by xm save");
}

TEST_CASE_METHOD(Damage, "Files of others are named as what they are")
{
    const std::string xl = path + " was written by Xen's xl; restore it with xl restore";
    CHECK(error_of(std::string("Xen saved domain, xl format\n \0 \r", 32) + std::string(100, 'x')) == xl);
    CHECK(error_of("LibxlFmt" + std::string(100, '\0')) == xl);
    CHECK(error_of(std::string(8, '\xff') + "XENF" + std::string(100, '\0')) == xl);
    CHECK(error_of("#!/bin/sh\n") == path + " was not written by xm save");
    CHECK(error_of(std::string(4096, '\0')) == path + " was not written by xm save");
    CHECK(first_error("/dev/zero") == "cannot restore from /dev/zero: it is not a regular file");
    CHECK(first_error(directory.file("none")) ==
          "cannot read " + directory.file("none") + ": No such file or directory");

    std::string newer = small_file(path);
    newer[8]          = 7;
    CHECK(error_of(newer) == path + " is of format version 7; this vmmd reads 1");
}

TEST_CASE_METHOD(Damage, "Records that this version does not know are skipped if they say so")
{
    const auto with = [&](std::uint32_t flags) {
        Record_header header;
        header.type  = Record_type{99};
        header.flags = flags;
        return error_of(Raw_image().add(header, "of the future").end().bytes());
    };
    CHECK(with(kFlagOptional).empty());
    CHECK(with(0) ==
          path + " holds a record of type 99, which this vmmd does not know; restore it with a newer one");
    Record_header encrypted;
    encrypted.type  = Record_type::description;
    encrypted.flags = 2;
    CHECK(error_of(Raw_image().add(encrypted, "{}").end().bytes()) ==
          path + " is encoded in a way this vmmd does not know; restore it with a newer one");
}

TEST_CASE_METHOD(Damage, "Records whose checksums hold but which cannot be are refused")
{
    const std::string page(kPageSize, 'x');
    const auto error = [&](Record_type type, std::uint32_t flags, std::uint64_t first, std::uint64_t count,
                           std::string_view payload) {
        Record_header header;
        header.type  = type;
        header.flags = flags;
        header.first = first;
        header.count = count;
        return error_of(Raw_image().add(header, payload).end().bytes());
    };
    using enum Record_type;
    CHECK(error(frames, 0, 0, 1, page).empty());
    CHECK(error(frames, kFlagZstd, 0, 1, compressed(page)).empty());

    const std::string counts_wrong = corrupted(kFirst, "a record does not hold the frames it counts");
    CHECK(error(frames, 0, 0, 2, page) == counts_wrong);
    CHECK(error(frames, 0, 0, 1, "") == counts_wrong);
    CHECK(error(frames, 0, 0, 1025, page) == corrupted(kFirst, "a record holds more frames than allowed"));
    CHECK(error(frames, 0, 0, std::uint64_t{1} << 52, page) ==
          corrupted(kFirst, "it names frames that cannot be"));
    CHECK(error(frames, 0, 0, 0, "") == corrupted(kFirst, "it names frames that cannot be"));
    CHECK(error(zero_frames, 0, ~std::uint64_t{0}, 2, "") ==
          corrupted(kFirst, "it names frames that cannot be"));
    CHECK(error(zero_frames, 0, 5, ~std::uint64_t{0}, "") ==
          corrupted(kFirst, "it names frames that cannot be"));
    CHECK(error(zero_frames, 0, 5, 1, page) == corrupted(kFirst, "a record of zeros has contents"));
    CHECK(error(zero_frames, kFlagZstd, 5, 1, "") ==
          corrupted(kFirst, "a record is compressed that must not be"));
    CHECK(error(description, 0, 0, 1, "{}") == corrupted(kFirst, "a record without frames counts some"));
    CHECK(error(end, 0, 0, 0, "short") == corrupted(kFirst, "its end record is not one"));
}

TEST_CASE_METHOD(Damage, "What unpacks to another size than it should is refused, however large it would be")
{
    const auto error = [&](const std::string& packed, std::uint64_t count) {
        Record_header header;
        header.type  = Record_type::frames;
        header.flags = kFlagZstd;
        header.count = count;
        return error_of(Raw_image().add(header, packed).end().bytes());
    };
    const std::string bomb = compressed(std::string(64 << 20, '\0'));
    CHECK_THAT(error(bomb, 1), Catch::StartsWith(corrupted(kFirst, "its zstd")));
    CHECK_THAT(error(bomb, 1024), Catch::StartsWith(corrupted(kFirst, "its zstd")));
    CHECK_THAT(error(compressed("little"), 1), Catch::StartsWith(corrupted(kFirst, "its zstd")));
    CHECK_THAT(error("no zstd frame at all", 1), Catch::StartsWith(corrupted(kFirst, "its zstd")));
    CHECK_THAT(error("", 1), Catch::StartsWith(corrupted(kFirst, "its zstd")));
}

TEST_CASE_METHOD(Damage, "Records that are lost, doubled, swapped or behind the end are noticed")
{
    Record_header zeros;
    zeros.type              = Record_type::zero_frames;
    zeros.count             = 3;
    const std::string whole = Raw_image().add(zeros).add(zeros).end().bytes();
    const std::size_t size  = sizeof(Record_header);
    CHECK(error_of(whole).empty());
    const std::string header = whole.substr(0, kFirst), first = whole.substr(kFirst, size),
                      second = whole.substr(kFirst + size, size), last = whole.substr(kFirst + 2 * size);
    CHECK(error_of(header + second + last) == corrupted(kFirst, "record 1 is where record 0 belongs"));
    CHECK(error_of(header + first + first + second + last) ==
          corrupted(kFirst + size, "record 0 is where record 1 belongs"));
    CHECK(error_of(header + second + first + last) ==
          corrupted(kFirst, "record 1 is where record 0 belongs"));
    CHECK(error_of(whole + "x") == corrupted(kFirst + 2 * size, "1 bytes follow its end record"));
    CHECK(error_of(header + first + second) == path + " is truncated: it ends at byte " +
                                                   std::to_string(kFirst + 2 * size) +
                                                   ", before its end record");
    for (const End_counts counts : {End_counts{1, 0, 6}, End_counts{2, 1, 6}, End_counts{2, 0, 5}}) {
        CHECK(error_of(Raw_image().add(zeros).add(zeros).end(counts).bytes()) ==
              corrupted(kFirst + 2 * size, "its end record counts other records than are there"));
    }
}

TEST_CASE_METHOD(Damage, "No length makes the reader take more memory than the format allows")
{
    Record_header huge;
    huge.type     = Record_type::description;
    huge.length   = kMostPayload + 1;
    huge.checksum = checksum_of(huge);
    File_header head;
    head.checksum = checksum_of(head);
    const std::string begin =
        text_of(std::as_bytes(std::span(&head, 1))) + text_of(std::as_bytes(std::span(&huge, 1)));
    CHECK(error_of(begin) == corrupted(kFirst, "a record is longer than allowed"));
}

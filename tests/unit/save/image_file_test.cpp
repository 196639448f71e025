// SPDX-License-Identifier: Apache-2.0
// Writing and reading files of saved domains: what comes back, and what is left on disk whatever happens.
#include "save_fixture.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>

using namespace vmm;
using namespace vmm::save;
using namespace vmm::save::test;

namespace
{

// Whole files may not be larger while it lives: the write that passes the limit fails.
class File_size_limit
{
  public:
    explicit File_size_limit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN))
    {
        ::getrlimit(RLIMIT_FSIZE, &old_);
        const rlimit now{bytes, old_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &now);
    }
    File_size_limit(const File_size_limit&)            = delete;
    File_size_limit& operator=(const File_size_limit&) = delete;
    ~File_size_limit()
    {
        ::setrlimit(RLIMIT_FSIZE, &old_);
        std::signal(SIGXFSZ, old_handler_);
    }

  private:
    rlimit old_{};
    void (*old_handler_)(int);
};

std::string create_error(const std::string& path)
{
    const auto writer = Image_writer::create(path, Compression::none);
    return writer ? "none" : writer.error().message;
}

} // namespace

TEST_CASE("What was written is read, in order and with the same contents")
{
    const auto compression = GENERATE(Compression::none, Compression::zstd);
    const Temporary_directory directory;
    const std::string path   = directory.file("a.save");
    const std::string frames = frames_of(1500, 1); // more than one record
    {
        auto writer = Image_writer::create(path, compression);
        REQUIRE(writer);
        REQUIRE(writer->put(Record_type::description, bytes_of("{}")));
        REQUIRE(writer->put_zero_frames(0, 16));
        REQUIRE(writer->put_frames(16, bytes_of(frames)));
        REQUIRE(writer->put_zero_frames(5000, std::uint64_t{1} << 30));
        REQUIRE(writer->put(Record_type::processors, bytes_of("cpu")));
        CHECK_FALSE(std::filesystem::exists(path));
        REQUIRE(writer->finish());
        CHECK(writer->bytes() == read_file(path).size());
    }
    CHECK(directory.entries() == 1);

    auto reader = Image_reader::open(path);
    REQUIRE(reader);
    CHECK(reader->size() == read_file(path).size());
    auto record = reader->next();
    REQUIRE(record);
    CHECK(record->type == Record_type::description);
    CHECK(text_of(record->payload) == "{}");
    record = reader->next();
    REQUIRE(record);
    CHECK(record->type == Record_type::zero_frames);
    CHECK(record->first == 0);
    CHECK(record->count == 16);
    std::string got;
    for (const std::uint64_t first : {16U, 16U + 1024U}) {
        record = reader->next();
        REQUIRE(record);
        CHECK(record->type == Record_type::frames);
        CHECK(record->first == first);
        got += text_of(record->payload);
    }
    CHECK(got == frames);
    record = reader->next();
    REQUIRE(record);
    CHECK(record->count == std::uint64_t{1} << 30);
    record = reader->next();
    REQUIRE(record);
    CHECK(record->type == Record_type::processors);
    reader->put_back();
    record = reader->next();
    REQUIRE(record);
    CHECK(text_of(record->payload) == "cpu");
    record = reader->next();
    REQUIRE(record);
    CHECK(record->type == Record_type::end);
    CHECK(reader->position() == reader->size());
    CHECK_FALSE(reader->next());
}

TEST_CASE("Compressing makes a file smaller, and does not grow what cannot be compressed")
{
    const Temporary_directory directory;
    std::string noise;
    for (unsigned seed = 0; seed < 8; ++seed) { // 8 bytes in every 64, shifted over one another
        const std::string part = frames_of(4, seed);
        noise.resize(part.size());
        for (std::size_t i = 0; i + 8 * seed < part.size(); ++i) {
            noise[i + 8 * seed] = static_cast<char>(noise[i + 8 * seed] | part[i]);
        }
    }
    const auto size = [&](Compression compression, const std::string& frames) {
        auto writer = Image_writer::create(directory.file("x"), compression);
        REQUIRE(writer);
        REQUIRE(writer->put_frames(1, bytes_of(frames)));
        REQUIRE(writer->finish());
        CHECK(first_error(directory.file("x")).empty());
        return writer->bytes();
    };
    const std::string plain = frames_of(64, 3);
    CHECK(size(Compression::zstd, plain) < size(Compression::none, plain) / 2);
    CHECK(size(Compression::zstd, noise) <= size(Compression::none, noise));
}

TEST_CASE("Only its owner can read the file, whatever the umask")
{
    const Temporary_directory directory;
    const mode_t old = ::umask(0);
    auto writer      = Image_writer::create(directory.file("a"), Compression::none);
    ::umask(old);
    REQUIRE(writer);
    struct stat status {
    };
    REQUIRE(::stat(directory.file("a.partial").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    REQUIRE(writer->finish());
    REQUIRE(::stat(directory.file("a").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
}

TEST_CASE("A file that is not finished is gone, and an older one under the name is as it was")
{
    const Temporary_directory directory;
    write_file(directory.file("a"), "older");
    {
        auto writer = Image_writer::create(directory.file("a"), Compression::none);
        REQUIRE(writer);
        Image_writer moved = std::move(*writer);
        REQUIRE(moved.put(Record_type::description, bytes_of("{}")));
        CHECK(directory.entries() == 2);
    }
    CHECK(directory.entries() == 1);
    CHECK(read_file(directory.file("a")) == "older");

    auto writer = Image_writer::create(directory.file("a"), Compression::none);
    REQUIRE(writer);
    REQUIRE(writer->finish());
    CHECK(first_error(directory.file("a")).empty());
}

TEST_CASE("Nothing but a regular file is written over")
{
    const Temporary_directory directory;
    write_file(directory.file("there"), "kept");
    REQUIRE(::symlink(directory.file("there").c_str(), directory.file("link").c_str()) == 0);
    REQUIRE(::mkfifo(directory.file("fifo").c_str(), 0600) == 0);
    const std::string why = ": something is there that is not a regular file; choose another name";
    CHECK(create_error("/dev/full") == "cannot save to /dev/full" + why);
    CHECK(create_error(directory.file("")) == "cannot save to " + directory.file("") + why);
    CHECK(create_error(directory.file("link")) == "cannot save to " + directory.file("link") + why);
    CHECK(create_error(directory.file("fifo")) == "cannot save to " + directory.file("fifo") + why);
    CHECK(create_error(directory.file("no/a")) ==
          "cannot create " + directory.file("no/a.partial") + ": No such file or directory");

    SECTION("nor by way of the partial file")
    {
        REQUIRE(::symlink(directory.file("there").c_str(), directory.file("b.partial").c_str()) == 0);
        CHECK(create_error(directory.file("b")) ==
              directory.file("b.partial") + " is in the way and is not a regular file; remove it");
        CHECK(read_file(directory.file("there")) == "kept");
    }
    SECTION("nor when it comes while the file is written")
    {
        auto writer = Image_writer::create(directory.file("b"), Compression::none);
        REQUIRE(writer);
        REQUIRE(::symlink(directory.file("there").c_str(), directory.file("b").c_str()) == 0);
        const auto finished = writer->finish();
        REQUIRE_FALSE(finished);
        CHECK(finished.error().message == "cannot save to " + directory.file("b") + why);
        CHECK(read_file(directory.file("there")) == "kept");
    }
}

TEST_CASE("Two saves to one name do not mix, and the rest of a killed one is cleared away")
{
    const Temporary_directory directory;
    const std::string path = directory.file("a");
    write_file(path + ".partial", "of a process that was killed");
    const int theirs = ::open((path + ".partial").c_str(), O_RDONLY); // who has it open sees nothing of ours
    {
        auto first = Image_writer::create(path, Compression::none);
        REQUIRE(first);
        CHECK(create_error(path) ==
              "another save is writing " + path + ".partial; wait for it or choose another name");
        REQUIRE(first->finish());
    }
    char content[64]{};
    CHECK(::read(theirs, content, sizeof content - 1) > 0);
    CHECK(std::string(content) == "of a process that was killed");
    ::close(theirs);
    CHECK(first_error(path).empty());
    CHECK(create_error(path) == "none");
}

TEST_CASE("A write that fails is told with file and reason, and its space is given back at once")
{
    const Temporary_directory directory;
    const std::string path   = directory.file("a");
    const std::string frames = frames_of(1024, 5);
    auto writer              = Image_writer::create(path, Compression::none);
    REQUIRE(writer);
    Result<void> put, again;
    {
        const File_size_limit limit(64 << 10);
        put   = writer->put_frames(0, bytes_of(frames));
        again = writer->finish();
    }
    REQUIRE_FALSE(put);
    CHECK(put.error().code == Errc(EFBIG));
    CHECK(put.error().message == "cannot write " + path + ": File too large");
    REQUIRE_FALSE(again);
    CHECK(again.error().message == "cannot write " + path + ": an earlier write to it failed");
    CHECK(directory.entries() == 0);
}

TEST_CASE("The bytes are those that FORMAT.md tells")
{
    // Put together by hand from the page, checksums too.
    const std::string told = "89564d4d5341560a01000000001000008bcb9b1b4a8032d5" // header
                             "010000000000000000000000000000000000000000000000" // description
                             "0200000000000000d194f27ab572142ed90b83b024dc1bd07b7d"
                             "030000000000000010000000000000002000000000000000" // zero frames
                             "000000000100000099e9d85137db46effb25646cc21a89de"
                             "040000000000000000000000000000000000000000000000" // processors
                             "03000000020000009b8164ce31f596415f803f0c20b85243637075"
                             "050000000000000000000000000000000000000000000000" // end
                             "1800000003000000f675153eda98d38085f5aff4349568ca"
                             "030000000000000000000000000000002000000000000000";
    const Temporary_directory directory;
    auto writer = Image_writer::create(directory.file("a"), GENERATE(Compression::none, Compression::zstd));
    REQUIRE(writer);
    REQUIRE(writer->put(Record_type::description, bytes_of("{}")));
    REQUIRE(writer->put_zero_frames(16, 32));
    REQUIRE(writer->put(Record_type::processors, bytes_of("cpu")));
    REQUIRE(writer->finish());
    std::string hex;
    for (const char byte : read_file(directory.file("a"))) {
        constexpr std::string_view kDigits = "0123456789abcdef";
        hex += kDigits[static_cast<unsigned char>(byte) >> 4];
        hex += kDigits[static_cast<unsigned char>(byte) & 15];
    }
    CHECK(hex == told);
}

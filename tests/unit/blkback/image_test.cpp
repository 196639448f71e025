// SPDX-License-Identifier: Apache-2.0
// Real files on real file systems: what is written is there, whichever way it goes.
#include "guest-drivers/backend/buffer_pool.hpp"
#include "guest-drivers/backend/image.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

using namespace vmm;
using namespace vmm::block;
namespace fs = std::filesystem;

namespace
{

// On the file system of the build (a disk, as a rule) or on tmpfs.
struct Folder {
    explicit Folder(const char* where) : path(std::string(where) + "/blkback-test-XXXXXX")
    {
        if (mkdtemp(path.data()) == nullptr) {
            throw std::runtime_error("cannot make " + path);
        }
    }
    Folder(const Folder&)            = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { fs::remove_all(path); }
    [[nodiscard]] std::string image(std::uint64_t bytes) const
    {
        const std::string name = path + "/image";
        std::ofstream(name).put('x');
        fs::resize_file(name, bytes);
        return name;
    }
    std::string path;
};

struct Client final : Disk_client {
    void ended(Disk_io& io) override
    {
        ++ends;
        last = &io;
    }
    unsigned ends = 0;
    Disk_io* last = nullptr;
};

struct Rig {
    explicit Rig(const std::string& file, Image_options options = {})
        : disk(open_disk(open_image(file, options).value(), *loop).value())
    {
    }
    int run(Disk_io::Kind kind, std::uint64_t offset, std::span<std::byte> memory, std::uint64_t length = 0)
    {
        Disk_io io;
        io.client = &client;
        io.kind   = kind;
        io.offset = offset;
        io.length = length;
        if (!memory.empty()) {
            io.memory.push_back({memory.data(), memory.size()});
        }
        const unsigned before = client.ends;
        disk->start(io);
        disk->submit();
        for (int i = 0; i < 1200 && client.ends == before; ++i) {
            REQUIRE(loop->run_once(std::chrono::milliseconds(50)));
        }
        REQUIRE(client.ends == before + 1);
        return io.error;
    }

    std::unique_ptr<Event_loop> loop = Event_loop::create().value();
    Client client;
    Buffer_pool buffers{2 * Buffer_pool::kLargest};
    std::unique_ptr<Disk> disk;
};

} // namespace

TEST_CASE("an image is read, written, flushed and discarded", "[blkback]")
{
    const Folder folder(GENERATE(".", "/dev/shm"));
    const std::string file = folder.image(4 << 20);
    Rig rig(file);
    CHECK(rig.disk->shape().sectors == 8192);
    const auto piece = rig.buffers.take(64 << 10).first(40 << 10);
    const auto back  = rig.buffers.take(64 << 10).first(40 << 10);
    for (std::size_t i = 0; i < piece.size(); ++i) {
        piece[i] = static_cast<std::byte>(i * 7 + i / 256);
    }
    CHECK(rig.run(Disk_io::Kind::write, 512 * 1001, piece) == 0);
    CHECK(rig.run(Disk_io::Kind::flush, 0, {}) == 0);
    CHECK(rig.run(Disk_io::Kind::read, 512 * 1001, back) == 0);
    CHECK(std::memcmp(piece.data(), back.data(), piece.size()) == 0);
    std::ifstream raw(file, std::ios::binary);
    raw.seekg(512 * 1001);
    std::vector<char> there(piece.size());
    raw.read(there.data(), static_cast<std::streamsize>(there.size()));
    CHECK(std::memcmp(piece.data(), there.data(), there.size()) == 0);
    if (rig.disk->shape().discard) {
        CHECK(rig.run(Disk_io::Kind::discard, 512 * 1000, {}, 512 * 40) == 0);
        CHECK(rig.run(Disk_io::Kind::discard, 512 * 1000, {}, 0) == 0);
        CHECK(rig.run(Disk_io::Kind::read, 512 * 1001, back) == 0);
        CHECK(back[100] == std::byte{0});
        CHECK(back[512 * 50] == piece[512 * 50]);
    }
    CHECK(fs::file_size(file) == 4 << 20);
}

TEST_CASE("an image that was cut short is an I/O error, one that has grown is larger", "[blkback]")
{
    const Folder folder(GENERATE(".", "/dev/shm"));
    const std::string file = folder.image(1 << 20);
    Rig rig(file);
    const auto piece = rig.buffers.take(8192);
    fs::resize_file(file, 4096);
    CHECK(rig.run(Disk_io::Kind::read, 0, piece) == EIO);
    fs::resize_file(file, 3 << 20);
    rig.disk->measure();
    CHECK(rig.disk->shape().sectors == 6144);
    CHECK(rig.run(Disk_io::Kind::read, 2 << 20, piece) == 0);
}

TEST_CASE("an image has one writer or any number of readers", "[blkback]")
{
    const Folder folder(".");
    const std::string file = folder.image(1 << 20);
    {
        const auto writer = open_image(file, {});
        REQUIRE(writer);
        const auto second = open_image(file, {});
        REQUIRE_FALSE(second);
        CHECK(second.error().code == Errc::busy);
        CHECK_THAT(second.error().message, Catch::Contains("xm(1), migrate")); // a lock of the other host
        CHECK_FALSE(open_image(file, {.read_only = true}));
        CHECK(open_image(file, {.shared = true}));
    }
    const auto reader = open_image(file, {.read_only = true});
    REQUIRE(reader);
    CHECK(reader->shape.read_only);
    CHECK_FALSE(reader->shape.discard);
    CHECK(open_image(file, {.read_only = true}));
    CHECK_FALSE(open_image(file, {}));
}

TEST_CASE("what is no image is refused in words", "[blkback]")
{
    const Folder folder(".");
    const auto said = [](const std::string& path) { return open_image(path, {}).error().message; };
    CHECK_THAT(said(folder.path + "/none"), Catch::Contains("No such file"));
    CHECK_THAT(open_image(folder.path, {.read_only = true}).error().message,
               Catch::Contains("neither a file nor a block device"));
    CHECK_THAT(said(folder.image(100)), Catch::Contains("is empty"));
}

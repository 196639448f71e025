// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/memory_file_disk.hpp"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

namespace vmm::block
{

void Memory_file_disk::start(Disk_io& io)
{
    io.error = perform(io);
    io.client->ended(io);
}

void Memory_file_disk::measure()
{
    image_.shape.sectors = measure_image(image_).value_or(image_.shape.sectors);
}

int Memory_file_disk::perform(Disk_io& io) const
{
    const int fd = image_.fd.get();
    switch (io.kind) {
    case Disk_io::Kind::flush: return image_.shape.read_only || fdatasync(fd) == 0 ? 0 : errno;
    case Disk_io::Kind::discard:
        return io.length == 0 || fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                           static_cast<off_t>(io.offset), static_cast<off_t>(io.length)) == 0
                   ? 0
                   : errno;
    case Disk_io::Kind::read:
    case Disk_io::Kind::write: break;
    }
    return move(io);
}

// All of it, however many calls that takes; an image cut short in the meantime is an I/O error.
int Memory_file_disk::move(Disk_io& io) const
{
    auto at            = static_cast<off_t>(io.offset);
    std::size_t piece  = 0;
    const int count    = static_cast<int>(io.memory.size());
    const auto advance = [&](std::size_t bytes) {
        at += static_cast<off_t>(bytes);
        for (; piece < io.memory.size() && bytes >= io.memory[piece].iov_len; ++piece) {
            bytes -= io.memory[piece].iov_len;
        }
        if (bytes > 0) {
            io.memory[piece].iov_base = static_cast<std::byte*>(io.memory[piece].iov_base) + bytes;
            io.memory[piece].iov_len -= bytes;
        }
    };
    while (piece < io.memory.size()) {
        const iovec* left  = io.memory.data() + piece;
        const int pieces   = count - static_cast<int>(piece);
        const ssize_t done = io.kind == Disk_io::Kind::read ? preadv(image_.fd.get(), left, pieces, at)
                                                            : pwritev(image_.fd.get(), left, pieces, at);
        if (done == 0) {
            return EIO;
        }
        if (done < 0 && errno != EINTR) {
            return errno;
        }
        advance(static_cast<std::size_t>(std::max<ssize_t>(done, 0)));
    }
    return 0;
}

} // namespace vmm::block

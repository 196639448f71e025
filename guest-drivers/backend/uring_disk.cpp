// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/uring_disk.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <array>

namespace vmm::block
{

namespace
{

constexpr unsigned kEntries = 256;

} // namespace

Result<std::unique_ptr<Disk>> Uring_disk::create(Image image, Event_loop& loop)
{
    std::unique_ptr<Uring_disk> disk(new Uring_disk(std::move(image), loop));
    // Completions are worked off when they are asked for, not by interrupting this thread (Linux 6.1).
    constexpr unsigned kFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    int error                 = io_uring_queue_init(kEntries, &disk->ring_, kFlags);
    if (error == -EINVAL) {
        error = io_uring_queue_init(kEntries, &disk->ring_, 0);
    }
    if (error < 0) {
        disk->ring_.ring_fd = -1;
        return fail_errno("cannot set up io_uring (Linux 5.6 or later has it)", -error);
    }
    disk->ended_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!disk->ended_ || io_uring_register_eventfd(&disk->ring_, disk->ended_.get()) < 0) {
        return fail_errno("cannot hear of what io_uring has done");
    }
    TRY(loop.add(disk->ended_.get(), EPOLLIN, [self = disk.get()](std::uint32_t) { self->reap(); }));
    return disk;
}

Uring_disk::~Uring_disk()
{
    if (ring_.ring_fd >= 0) {
        io_uring_queue_exit(&ring_);
    }
    if (ended_) {
        loop_.remove(ended_.get());
    }
}

void Uring_disk::measure() { image_.shape.sectors = measure_image(image_).value_or(image_.shape.sectors); }

void Uring_disk::start(Disk_io& io)
{
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    while (entry == nullptr) {
        submit();
        entry = io_uring_get_sqe(&ring_);
    }
    const int fd = image_.fd.get();
    switch (io.kind) {
    case Disk_io::Kind::read:
        io_uring_prep_read(entry, fd, io.memory[0].iov_base, static_cast<unsigned>(io.memory[0].iov_len),
                           io.offset);
        break;
    case Disk_io::Kind::write:
        io_uring_prep_write(entry, fd, io.memory[0].iov_base, static_cast<unsigned>(io.memory[0].iov_len),
                            io.offset);
        break;
    case Disk_io::Kind::flush:
        if (image_.shape.read_only) {
            io_uring_prep_nop(entry);
        } else {
            io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
        }
        break;
    case Disk_io::Kind::discard:
        if (io.length == 0) {
            io_uring_prep_nop(entry);
        } else {
            io_uring_prep_fallocate(entry, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                    static_cast<off_t>(io.offset), static_cast<off_t>(io.length));
        }
        break;
    }
    io_uring_sqe_set_data(entry, &io);
}

// Without memory in the kernel the entries stay queued and go with the next call.
void Uring_disk::submit()
{
    if (io_uring_sq_ready(&ring_) > 0) {
        io_uring_submit(&ring_);
    }
}

void Uring_disk::reap()
{
    eventfd_t count = 0;
    eventfd_read(ended_.get(), &count);
    io_uring_get_events(&ring_);
    std::array<io_uring_cqe*, 64> entries;
    while (const unsigned ready = io_uring_peek_batch_cqe(&ring_, entries.data(), entries.size())) {
        for (unsigned i = 0; i < ready; ++i) {
            ended(*static_cast<Disk_io*>(io_uring_cqe_get_data(entries[i])), entries[i]->res);
        }
        io_uring_cq_advance(&ring_, ready);
    }
    batch_ended();
    submit();
}

// A part done is gone on with; an image cut short in the meantime is an I/O error.
void Uring_disk::ended(Disk_io& io, int result)
{
    const bool moves = io.kind == Disk_io::Kind::read || io.kind == Disk_io::Kind::write;
    if (result == -EINTR || result == -EAGAIN) {
        return start(io);
    }
    if (moves && result > 0 && static_cast<std::size_t>(result) < io.memory[0].iov_len) {
        io.memory[0].iov_base = static_cast<std::byte*>(io.memory[0].iov_base) + result;
        io.memory[0].iov_len -= static_cast<std::size_t>(result);
        io.offset += static_cast<std::uint64_t>(result);
        return start(io);
    }
    io.error = result < 0 ? -result : moves && result == 0 ? EIO : 0;
    io.client->ended(io);
}

} // namespace vmm::block

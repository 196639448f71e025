// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/uring_disk.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <atomic>

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
    constexpr unsigned kFlags =
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    int error = io_uring_queue_init(kEntries, &disk->ring_, kFlags);
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

// Without it (memory is short, or limited) each operation looks its pages up.
void Uring_disk::use_memory(std::span<std::byte> memory)
{
    const iovec all{memory.data(), memory.size()};
    memory_is_known_ = io_uring_register_buffers(&ring_, &all, 1) == 0;
}

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
    case Disk_io::Kind::write: prepare_move(*entry, io); break;
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

void Uring_disk::prepare_move(io_uring_sqe& entry, const Disk_io& io) const
{
    const int fd      = image_.fd.get();
    void* at          = io.memory[0].iov_base;
    const auto length = static_cast<unsigned>(io.memory[0].iov_len);
    const bool reads  = io.kind == Disk_io::Kind::read;
    if (memory_is_known_ && reads) {
        io_uring_prep_read_fixed(&entry, fd, at, length, io.offset, 0);
    } else if (memory_is_known_) {
        io_uring_prep_write_fixed(&entry, fd, at, length, io.offset, 0);
    } else if (reads) {
        io_uring_prep_read(&entry, fd, at, length, io.offset);
    } else {
        io_uring_prep_write(&entry, fd, at, length, io.offset);
    }
}

// What the kernel could do at once has ended with the call that starts it, and needs no event. Without memory
// in the kernel the entries stay queued and go with the next call.
void Uring_disk::submit()
{
    while (io_uring_sq_ready(&ring_) > 0) {
        io_uring_cq_eventfd_toggle(&ring_, false);
        const int sent = io_uring_submit_and_get_events(&ring_);
        harvest();
        io_uring_cq_eventfd_toggle(&ring_, true);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        harvest(); // what ended while nobody would have been told
        if (sent < 0) {
            return;
        }
    }
}

void Uring_disk::reap()
{
    eventfd_t count = 0;
    eventfd_read(ended_.get(), &count);
    harvest();
    batch_ended();
    submit();
}

void Uring_disk::harvest()
{
    for (io_uring_cqe* entry = nullptr; io_uring_peek_batch_cqe(&ring_, &entry, 1) > 0;) {
        Disk_io& io      = *static_cast<Disk_io*>(io_uring_cqe_get_data(entry));
        const int result = entry->res;
        io_uring_cq_advance(&ring_, 1); // before anything that may come here again
        ended(io, result);
    }
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

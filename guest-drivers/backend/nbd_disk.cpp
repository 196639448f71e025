// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/nbd_disk.hpp"

#include "guest-drivers/protocol/block.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vmm::block
{

namespace
{

constexpr std::uint64_t kMostAtOnce = 1u << 30; // bytes of a discard: the protocol's lengths have 32 bits

std::string nbd_error()
{
    const char* text = nbd_get_error();
    return text != nullptr ? text : "unknown error";
}

} // namespace

bool Nbd_disk::is_uri(std::string_view text)
{
    return text.starts_with("nbd://") || text.starts_with("nbds://") || text.starts_with("nbd+unix://") ||
           text.starts_with("nbds+unix://");
}

Result<std::unique_ptr<Disk>> Nbd_disk::connect(const std::string& uri, const Image_options& options,
                                                Event_loop& loop, Lost lost)
{
    std::unique_ptr<Nbd_disk> disk(new Nbd_disk(loop, std::move(lost)));
    TRY(disk->open(uri, options));
    return disk;
}

Result<void> Nbd_disk::open(const std::string& uri, const Image_options& options)
{
    handle_.reset(nbd_create());
    if (!handle_ || nbd_connect_uri(handle_.get(), uri.c_str()) < 0) {
        return fail(Errc::io, "cannot reach the NBD server " + uri + ": " + nbd_error());
    }
    nbd_handle* nbd         = handle_.get();
    const std::int64_t size = nbd_get_size(nbd);
    if (size < static_cast<std::int64_t>(protocol::kSectorSize)) {
        return fail(Errc::invalid, "the NBD export " + uri + " is empty");
    }
    if (!options.read_only && nbd_is_read_only(nbd) != 0) {
        return fail(Errc::read_only, "the NBD export " + uri + " is read-only; attach it read-only");
    }
    if (nbd_get_block_size(nbd, LIBNBD_SIZE_MINIMUM) > static_cast<std::int64_t>(protocol::kSectorSize)) {
        return fail(Errc::unsupported, "the NBD server " + uri + " wants blocks larger than 512 bytes");
    }
    const std::int64_t preferred = nbd_get_block_size(nbd, LIBNBD_SIZE_PREFERRED);
    shape_.sectors               = static_cast<std::uint64_t>(size) / protocol::kSectorSize;
    shape_.physical_sector       = preferred == 4096 ? 4096 : 512;
    shape_.read_only             = options.read_only;
    shape_.discard               = options.discard && !options.read_only && nbd_can_trim(nbd) == 1;
    can_flush_                   = !options.read_only && nbd_can_flush(nbd) == 1;
    fd_                          = nbd_aio_get_fd(nbd);
    events_                      = EPOLLIN;
    return loop_.add(fd_, events_, [this](std::uint32_t events) { ready(events); });
}

Nbd_disk::~Nbd_disk()
{
    if (fd_ >= 0) {
        loop_.remove(fd_);
    }
}

// The library holds its handle while it calls back, so what ended is only noted there.
void Nbd_disk::start(Disk_io& io)
{
    struct Under_way {
        Nbd_disk* disk;
        Disk_io* io;
    };
    if ((io.kind == Disk_io::Kind::flush && !can_flush_) ||
        (io.kind == Disk_io::Kind::discard && io.length == 0)) {
        ended_.emplace_back(&io, 0);
        return;
    }
    const nbd_completion_callback done{.callback =
                                           [](void* data, int* error) {
                                               const auto* way = static_cast<Under_way*>(data);
                                               way->disk->ended_.emplace_back(way->io, *error);
                                               return 1; // the command is retired
                                           },
                                       .user_data = new Under_way{this, &io},
                                       .free      = [](void* data) { delete static_cast<Under_way*>(data); }};
    nbd_handle* nbd     = handle_.get();
    std::int64_t cookie = 0;
    switch (io.kind) {
    case Disk_io::Kind::read:
        cookie = nbd_aio_pread(nbd, io.memory[0].iov_base, io.memory[0].iov_len, io.offset, done, 0);
        break;
    case Disk_io::Kind::write:
        cookie = nbd_aio_pwrite(nbd, io.memory[0].iov_base, io.memory[0].iov_len, io.offset, done, 0);
        break;
    case Disk_io::Kind::flush: cookie = nbd_aio_flush(nbd, done, 0); break;
    case Disk_io::Kind::discard:
        cookie = nbd_aio_trim(nbd, std::min(io.length, kMostAtOnce), io.offset, done, 0);
        break;
    }
    if (cookie < 0) {
        ended_.emplace_back(&io, nbd_get_errno() != 0 ? nbd_get_errno() : EIO);
    }
}

// Each command was sent as far as the socket took it when it was started.
void Nbd_disk::submit()
{
    tell_ended();
    follow_direction();
}

// What ended with the connection did not end: it is as if it were still under way.
void Nbd_disk::tell_ended()
{
    while (!ended_.empty() && check_connection()) {
        for (const auto& [io, error] : std::exchange(ended_, {})) {
            if (error == 0 && io->kind == Disk_io::Kind::discard && io->length > kMostAtOnce) {
                io->offset += kMostAtOnce;
                io->length -= kMostAtOnce;
                start(*io);
            } else {
                io->error = error;
                io->client->ended(*io);
            }
        }
    }
}

void Nbd_disk::ready(std::uint32_t events)
{
    nbd_handle* nbd          = handle_.get();
    const unsigned direction = nbd_aio_get_direction(nbd);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && (direction & LIBNBD_AIO_DIRECTION_READ) != 0) {
        nbd_aio_notify_read(nbd);
    } else if ((events & EPOLLOUT) != 0 && (direction & LIBNBD_AIO_DIRECTION_WRITE) != 0) {
        nbd_aio_notify_write(nbd);
    }
    tell_ended();
    if (check_connection()) {
        batch_ended();
        follow_direction();
    }
}

void Nbd_disk::follow_direction()
{
    const unsigned direction   = nbd_aio_get_direction(handle_.get());
    const std::uint32_t wanted = ((direction & LIBNBD_AIO_DIRECTION_READ) != 0 ? EPOLLIN : 0u) |
                                 ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0 ? EPOLLOUT : 0u);
    if (fd_ >= 0 && wanted != events_ && loop_.modify(fd_, wanted)) {
        events_ = wanted;
    }
}

bool Nbd_disk::check_connection()
{
    nbd_handle* nbd = handle_.get();
    if (nbd_aio_is_dead(nbd) != 1 && nbd_aio_is_closed(nbd) != 1) {
        return true;
    }
    if (fd_ >= 0) {
        loop_.remove(std::exchange(fd_, -1));
    }
    if (lost_) {
        std::exchange(lost_, nullptr)("the connection to the NBD server is lost: " + nbd_error());
    }
    return false;
}

} // namespace vmm::block

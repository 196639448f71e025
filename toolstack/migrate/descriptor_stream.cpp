// SPDX-License-Identifier: Apache-2.0
#include "toolstack/migrate/descriptor_stream.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

namespace vmm::migrate
{

namespace
{

constexpr auto kBetweenLooks        = std::chrono::milliseconds(100);
constexpr std::size_t kLimitedPiece = 64 << 10;
constexpr std::size_t kMostHeard    = 64 << 10; // then whoever talks so much has to wait

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

// A peer that has gone must not end this process, whatever it does with SIGPIPE.
ssize_t write_quietly(int fd, std::span<const std::byte> bytes)
{
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return sent < 0 && errno == ENOTSOCK ? ::write(fd, bytes.data(), bytes.size()) : sent;
}

} // namespace

Result<std::unique_ptr<Descriptor_stream>> Descriptor_stream::create(Unique_fd in, Unique_fd out,
                                                                     std::chrono::milliseconds patience)
{
    for (const Unique_fd* fd : {&in, &out}) {
        const int flags = ::fcntl(fd->get(), F_GETFL);
        if (flags < 0 || ::fcntl(fd->get(), F_SETFL, flags | O_NONBLOCK) < 0) {
            return fail_errno("the connection to the other host");
        }
    }
    return std::unique_ptr<Descriptor_stream>(new Descriptor_stream(std::move(in), std::move(out), patience));
}

Result<void> Descriptor_stream::wait(int fd, short events, Clock::time_point since)
{
    for (;;) {
        if (cancelled_) {
            return fail(Errc::cancelled, "it was cancelled");
        }
        const int also = events == POLLOUT && listens() ? in_.get() : -1;
        std::array look{pollfd{fd, events, 0}, pollfd{also, POLLIN, 0}};
        // The last look is one more after the end: this process itself may have stood still.
        const std::chrono::milliseconds patience = patience_;
        const bool last                          = Clock::now() - since > patience;
        const int ready =
            ::poll(look.data(), look.size(), last ? 0 : static_cast<int>(kBetweenLooks.count()));
        if (ready < 0 && errno != EINTR) {
            return fail_errno("the connection to the other host");
        }
        if (ready > 0 && look[0].revents != 0) {
            return {};
        }
        if (ready > 0 && take_in()) {
            since = Clock::now();
        } else if (last) {
            return fail(Errc::timed_out,
                        "nothing has come or gone over the connection to the other host for " +
                            std::to_string(patience.count() / 1000) + " s");
        }
    }
}

bool Descriptor_stream::listens() const { return listens_ && heard_.size() < kMostHeard; }

// What is there, without waiting; whether it was something. The end, or an error, is for read() to meet.
bool Descriptor_stream::take_in()
{
    std::array<std::byte, 4096> piece;
    const ssize_t got = ::read(in_.get(), piece.data(), piece.size());
    if (got > 0) {
        heard_.insert(heard_.end(), piece.begin(), piece.begin() + got);
        return true;
    }
    listens_ = got < 0 && would_block();
    return false;
}

Result<std::size_t> Descriptor_stream::read(std::span<std::byte> to)
{
    if (!heard_.empty()) {
        const std::size_t size = std::min(to.size(), heard_.size());
        std::copy_n(heard_.begin(), size, to.begin());
        heard_.erase(heard_.begin(), heard_.begin() + static_cast<std::ptrdiff_t>(size));
        return size;
    }
    const auto since = Clock::now();
    for (;;) {
        const ssize_t got = ::read(in_.get(), to.data(), to.size());
        if (got >= 0) {
            return static_cast<std::size_t>(got);
        }
        if (!would_block()) {
            return fail_errno("the connection to the other host is broken");
        }
        TRY(wait(in_.get(), POLLIN, since));
    }
}

Result<void> Descriptor_stream::write(std::span<const std::byte> bytes)
{
    auto since = Clock::now();
    while (!bytes.empty()) {
        const std::size_t piece = limit_ == 0 ? bytes.size() : std::min(bytes.size(), kLimitedPiece);
        const ssize_t done      = write_quietly(out_.get(), bytes.first(piece));
        if (done < 0 && !would_block()) {
            return fail_errno("the connection to the other host is broken");
        }
        if (done < 0) {
            TRY(wait(out_.get(), POLLOUT, since));
            continue;
        }
        since = Clock::now();
        written_ += static_cast<std::uint64_t>(done);
        bytes = bytes.subspan(static_cast<std::size_t>(done));
        if (listens()) {
            take_in();
        }
        TRY(keep_to_limit(static_cast<std::size_t>(done)));
    }
    return {};
}

void Descriptor_stream::limit(std::uint64_t bytes_per_second) { limit_ = bytes_per_second; }

Result<void> Descriptor_stream::keep_to_limit(std::size_t bytes)
{
    const std::uint64_t limit = limit_;
    if (limit == 0) {
        return {};
    }
    may_write_ = std::max(may_write_, Clock::now()) + std::chrono::nanoseconds(bytes * 1'000'000'000 / limit);
    while (Clock::now() < may_write_ && limit_ != 0) {
        if (cancelled_) {
            return fail(Errc::cancelled, "it was cancelled");
        }
        std::this_thread::sleep_for(std::min<Clock::duration>(may_write_ - Clock::now(), kBetweenLooks));
    }
    return {};
}

} // namespace vmm::migrate

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/control/line_channel.hpp"

#include "toolstack/control/protocol.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <system_error>

namespace vmm::control
{

namespace
{

constexpr std::size_t kMost_descriptors = 4;

std::string error_text(int number) { return std::generic_category().message(number); }

bool would_block(int number) { return number == EAGAIN || number == EWOULDBLOCK || number == EINTR; }

} // namespace

Result<std::unique_ptr<Line_channel>> Line_channel::create(Event_loop& loop, Unique_fd socket,
                                                           Line_callback on_line, Close_callback on_close)
{
    const int flags = ::fcntl(socket.get(), F_GETFL);
    if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) < 0)
        return fail_errno("control connection");
    const int fd = socket.get();
    std::unique_ptr<Line_channel> channel{
        new Line_channel{loop, std::move(socket), std::move(on_line), std::move(on_close)}};
    auto* const raw = channel.get();
    TRY(loop.add(fd, EPOLLIN | EPOLLRDHUP, [raw](std::uint32_t events) { raw->on_events(events); }));
    return channel;
}

Line_channel::Line_channel(Event_loop& loop, Unique_fd socket, Line_callback on_line, Close_callback on_close)
    : loop_(loop), socket_(std::move(socket)), on_line_(std::move(on_line)), on_close_(std::move(on_close)),
      lines_(kMax_line)
{
}

Line_channel::~Line_channel()
{
    *alive_ = false;
    if (socket_)
        loop_.remove(socket_.get());
}

void Line_channel::send(std::string_view bytes)
{
    if (!is_open() || closing_)
        return;
    unsent_ += bytes;
    write_some();
}

void Line_channel::on_events(std::uint32_t events)
{
    const auto alive = alive_;
    if (events & EPOLLOUT)
        write_some();
    if (*alive && is_open() && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        read_some();
}

void Line_channel::read_some()
{
    std::array<char, 16384> chunk;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMost_descriptors * sizeof(int))> control;
    iovec place{chunk.data(), chunk.size()};
    msghdr message{};
    message.msg_iov        = &place;
    message.msg_iovlen     = 1;
    message.msg_control    = control.data();
    message.msg_controllen = control.size();
    const ssize_t got      = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got >= 0)
        keep_descriptors(message);
    if (got > 0) {
        lines_.feed({chunk.data(), static_cast<std::size_t>(got)});
        hand_out_lines();
    } else if (got == 0) {
        close_now(lines_.has_partial_line() ? "closed by the peer in the middle of a message"
                                            : "closed by the peer");
    } else if (!would_block(errno)) {
        close_now(error_text(errno));
    }
}

void Line_channel::keep_descriptors(const msghdr& message)
{
    for (const cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part                = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(part))) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        for (std::size_t at = 0; at + CMSG_LEN(sizeof(int)) <= part->cmsg_len; at += sizeof(int)) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
            descriptors_.emplace_back(fd);
        }
    }
}

void Line_channel::hand_out_lines()
{
    const auto alive    = alive_;
    const auto callback = on_line_; // a copy: destroying the channel must not destroy what is running
    while (*alive && is_open()) {
        auto line = lines_.next();
        if (!line)
            return close_now("a message is longer than the protocol allows");
        if (!*line)
            return;
        callback(std::move(**line));
        if (*alive)
            descriptors_.clear();
    }
}

void Line_channel::write_some()
{
    std::size_t sent = 0;
    while (sent < unsent_.size()) {
        const ssize_t n = ::send(socket_.get(), unsent_.data() + sent, unsent_.size() - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (!would_block(errno))
                return close_later(error_text(errno));
            break;
        }
        sent += static_cast<std::size_t>(n);
    }
    unsent_.erase(0, sent);
    if (unsent_.size() > kMax_unsent)
        return close_later("the peer does not read its answers");
    watch_writable(!unsent_.empty());
}

void Line_channel::watch_writable(bool wanted)
{
    if (wanted == watching_writable_)
        return;
    const std::uint32_t events = EPOLLIN | EPOLLRDHUP | (wanted ? std::uint32_t{EPOLLOUT} : 0u);
    if (const auto result = loop_.modify(socket_.get(), events); !result)
        return close_later(result.error().message);
    watching_writable_ = wanted;
}

void Line_channel::close_later(std::string why)
{
    if (closing_)
        return;
    closing_ = true;
    loop_.defer([this, alive = alive_, why = std::move(why)]() mutable {
        if (*alive)
            close_now(std::move(why));
    });
}

void Line_channel::close_now(std::string why)
{
    if (!is_open())
        return;
    loop_.remove(socket_.get());
    socket_.reset();
    const auto callback = std::move(on_close_); // outlives the channel if it destroys it
    callback(std::move(why));
}

} // namespace vmm::control

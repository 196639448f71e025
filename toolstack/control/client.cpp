// SPDX-License-Identifier: Apache-2.0
#include "toolstack/control/client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>

namespace vmm::control
{

namespace
{

using Kind = Call_failure::Kind;

std::unexpected<Call_failure> fails(Kind kind, std::string message)
{
    return std::unexpected(Call_failure{kind, Code::internal, std::move(message)});
}

std::unexpected<Call_failure> lost(const std::string& why)
{
    return fails(Kind::lost, "vmmd closed the connection before it answered (" + why +
                                 "): see its log, then check with 'xm list' what was done");
}

std::string error_text(int number) { return std::generic_category().message(number); }

std::string why_no_vmmd(const std::string& path, int number)
{
    static constexpr const char* kStart = ": start it with 'systemctl start vmmd' or 'vmmd'";
    switch (number) {
    case ENOENT: return "vmmd is not running (no " + path + ")" + kStart;
    case ECONNREFUSED: return "vmmd is not running (nobody answers at " + path + ")" + kStart;
    case EACCES:
    case EPERM: return "no permission to talk to vmmd at " + path + ": run as root";
    default: return "cannot connect to vmmd at " + path + ": " + error_text(number);
    }
}

// The descriptors go with the first byte.
ssize_t send_with(int socket, std::string_view bytes, std::span<const int> descriptors)
{
    constexpr std::size_t kMost = 2;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMost * sizeof(int))> control{};
    iovec place{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov    = &place;
    message.msg_iovlen = 1;
    if (!descriptors.empty() && descriptors.size() <= kMost) {
        message.msg_control    = control.data();
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* const part    = CMSG_FIRSTHDR(&message);
        part->cmsg_level       = SOL_SOCKET;
        part->cmsg_type        = SCM_RIGHTS;
        part->cmsg_len         = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
    }
    return ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

int milliseconds_until(const Client::Deadline& deadline)
{
    if (!deadline)
        return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Client::Clock::now()).count();
    return static_cast<int>(std::clamp<long long>(left, 0, std::numeric_limits<int>::max()));
}

} // namespace

Called<Client> Client::connect(const std::string& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fails(Kind::no_vmmd,
                     "the socket path " + path + " is too long: set VMMD_SOCKET to a shorter one");
    std::memcpy(address.sun_path, path.data(), path.size());

    Unique_fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fails(Kind::no_vmmd, why_no_vmmd(path, errno));
    return Client{std::move(socket)};
}

Called<Json> Client::call(std::string_view op, Json args)
{
    const auto id = start(op, std::move(args));
    if (!id)
        return std::unexpected(id.error());
    return finish(*id);
}

Called<Client::Request_id> Client::start(std::string_view op, Json args, std::span<const int> descriptors)
{
    const Request request{++last_id_, std::string{op}, std::move(args)};
    const std::string line = encode(request);
    for (std::size_t sent = 0; sent < line.size();) {
        const ssize_t n = send_with(socket_.get(), std::string_view(line).substr(sent),
                                    sent == 0 ? descriptors : std::span<const int>());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return lost(error_text(errno));
        sent += static_cast<std::size_t>(n);
    }
    return Request_id{request.id};
}

Called<Json> Client::finish(Request_id id, Deadline deadline)
{
    for (;;) {
        if (auto answer = taken(id))
            return *std::move(answer);
        pollfd wait{socket_.get(), POLLIN, 0};
        const int ready = ::poll(&wait, 1, milliseconds_until(deadline));
        if (ready == 0)
            return fails(Kind::timed_out, "no answer in time");
        if (ready > 0)
            if (auto received = receive(); !received)
                return std::unexpected(std::move(received.error()));
    }
}

Called<void> Client::receive()
{
    std::array<char, 16384> chunk;
    const ssize_t got = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return {};
    if (got < 0)
        return lost(error_text(errno));
    if (got == 0)
        return lost("end of stream");
    lines_.feed({chunk.data(), static_cast<std::size_t>(got)});
    return take_lines();
}

Called<void> Client::take_lines()
{
    for (;;) {
        const auto line = lines_.next();
        if (!line)
            return lost("it sent a message longer than the protocol allows");
        if (!*line)
            return {};
        auto reply = decode_reply(**line);
        if (!reply)
            return lost(reply.error().message);
        if (reply->id == 0) // vmmd could not read some request of ours: no answer to it will come
            return lost(reply->result ? "it answered no request" : reply->result.error().message);
        if (reply->result)
            answers_.insert_or_assign(reply->id, *std::move(reply->result));
        else
            answers_.insert_or_assign(
                reply->id, std::unexpected(Call_failure{Kind::refused, reply->result.error().code,
                                                        std::move(reply->result.error().message)}));
    }
}

std::optional<Called<Json>> Client::taken(Request_id id)
{
    auto node = answers_.extract(static_cast<std::uint64_t>(id));
    if (node.empty())
        return std::nullopt;
    return std::move(node.mapped());
}

} // namespace vmm::control

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/tls/endpoint.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <memory>

namespace vmm::tls
{

namespace
{

constexpr std::string_view kScheme = "tcp:";
constexpr auto kAnswers            = std::chrono::seconds(10);

struct Free_addresses {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, Free_addresses>;

Result<Addresses> look_up(const Endpoint& endpoint, int flags)
{
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags    = flags;
    addrinfo* list    = nullptr;
    const int trouble = ::getaddrinfo(endpoint.host.empty() ? nullptr : endpoint.host.c_str(),
                                      endpoint.port.c_str(), &hints, &list);
    if (trouble != 0) {
        return fail(Errc::not_found, endpoint.text() + ": " + ::gai_strerror(trouble));
    }
    return Addresses(list);
}

// 0, or an errno.
int finish_connecting(int fd)
{
    pollfd look{fd, POLLOUT, 0};
    const auto patience = std::chrono::milliseconds(kAnswers).count();
    if (::poll(&look, 1, static_cast<int>(patience)) != 1) {
        return ETIMEDOUT;
    }
    int trouble    = 0;
    socklen_t size = sizeof trouble;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &trouble, &size) == 0 ? trouble : errno;
}

void send_at_once(int fd)
{
    const int yes = 1;
    static_cast<void>(
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes)); // slower without, no more
}

} // namespace

std::string Endpoint::text() const
{
    const bool is_v6 = host.find(':') != std::string::npos;
    return std::string(kScheme) + (is_v6 ? "[" + host + "]" : host) + ":" + port;
}

Result<Endpoint> parse_endpoint(std::string_view text)
{
    const auto wrong = [whole = std::string(text)](std::string_view why) {
        return fail(Errc::invalid, "\"" + whole + "\" is not tcp:HOST:PORT: " + std::string(why));
    };
    if (!text.starts_with(kScheme)) {
        return wrong("it does not begin with tcp:");
    }
    text.remove_prefix(kScheme.size());
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return wrong("there is no port");
    }
    std::string_view host       = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return wrong("IPv6 addresses stand in brackets");
    }
    const bool is_number = !port.empty() && port.size() <= 5 &&
                           std::ranges::all_of(port, [](unsigned char c) { return std::isdigit(c) != 0; });
    if (!is_number || std::stoul(std::string(port)) > UINT16_MAX) {
        return wrong("the port is a number up to 65535");
    }
    return Endpoint{std::string(host), std::string(port)};
}

Result<Unique_fd> connect_to(const Endpoint& endpoint)
{
    const Addresses addresses = TRY(look_up(endpoint, 0));
    int trouble               = ENOENT;
    for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
        Unique_fd fd(
            ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol));
        trouble = !fd ? errno : ::connect(fd.get(), at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
        if (trouble == EINPROGRESS) {
            trouble = finish_connecting(fd.get());
        }
        if (trouble == 0) {
            send_at_once(fd.get());
            return fd;
        }
    }
    return fail_errno("cannot connect to " + endpoint.text(), trouble);
}

Result<Unique_fd> listen_at(const Endpoint& endpoint)
{
    const Addresses addresses = TRY(look_up(endpoint, AI_PASSIVE));
    Unique_fd fd(
        ::socket(addresses->ai_family, addresses->ai_socktype | SOCK_CLOEXEC, addresses->ai_protocol));
    const int yes = 1;
    if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        ::bind(fd.get(), addresses->ai_addr, addresses->ai_addrlen) != 0 ||
        ::listen(fd.get(), SOMAXCONN) != 0) {
        return fail_errno("cannot listen at " + endpoint.text());
    }
    return fd;
}

Result<Unique_fd> accept_from(int listener)
{
    Unique_fd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
        return fail_errno("cannot take a connection");
    }
    send_at_once(fd.get());
    return fd;
}

} // namespace vmm::tls

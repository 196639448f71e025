// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/link_events.hpp"

#include <sys/socket.h>

#include <netlink/netlink.h>
#include <netlink/socket.h>

#include <utility>

namespace vmm::net
{

Result<std::unique_ptr<Link_events>> Link_events::open(Event_loop& loop, std::function<void()> on_change)
{
    nl_sock* const socket = nl_socket_alloc();
    if (socket == nullptr || nl_connect(socket, NETLINK_ROUTE) < 0 || nl_socket_set_nonblocking(socket) < 0 ||
        nl_socket_add_membership(socket, RTNLGRP_LINK) < 0) {
        nl_socket_free(socket);
        return fail(Errc::io, "cannot listen to changes of network devices");
    }
    std::unique_ptr<Link_events> events(new Link_events(loop, socket));
    const int fd = nl_socket_get_fd(socket);
    TRY(loop.add(fd, EPOLLIN, [fd, on_change = std::move(on_change)](std::uint32_t) {
        char bytes[16384];
        while (::recv(fd, bytes, sizeof bytes, 0) > 0 || errno == ENOBUFS) {
            errno = 0;
        }
        on_change();
    }));
    return events;
}

Link_events::~Link_events()
{
    loop_.remove(nl_socket_get_fd(socket_));
    nl_socket_free(socket_);
}

} // namespace vmm::net

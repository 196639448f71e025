// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/socket_transport.hpp"

#include <sys/socket.h>

namespace vmm::store
{
namespace
{

Result<std::size_t> moved(ssize_t count, const char* what)
{
    if (count >= 0) {
        return static_cast<std::size_t>(count);
    }
    if (errno == EAGAIN || errno == EINTR) {
        return 0;
    }
    return fail_errno(what);
}

} // namespace

Result<std::size_t> Socket_transport::read(std::span<char> into)
{
    const ssize_t count = recv(socket_.get(), into.data(), into.size(), MSG_DONTWAIT);
    if (count == 0) {
        return fail(Errc::not_connected, "the client closed the connection");
    }
    return moved(count, "read from a store client");
}

Result<std::size_t> Socket_transport::write(std::string_view bytes)
{
    return moved(send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL),
                 "write to a store client");
}

} // namespace vmm::store

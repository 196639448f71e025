// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/listening_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

namespace vmm::store
{
namespace
{

constexpr int kBacklog = 128;

Result<sockaddr_un> address_of(const std::string& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return fail(Errc::invalid, "store socket path '" + path + "' must have 1 to " +
                                       std::to_string(sizeof address.sun_path - 1) + " bytes");
    }
    path.copy(address.sun_path, path.size());
    return address;
}

Result<Unique_fd> new_socket()
{
    Unique_fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) {
        return fail_errno("create the store socket");
    }
    return socket;
}

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

Result<void> remove_stale(const sockaddr_un& address, const std::string& path)
{
    const Unique_fd probe = TRY(new_socket());
    if (connect(probe.get(), generic(address), sizeof address) == 0) {
        return fail(Errc::busy, path + " is served by another store daemon; stop it first");
    }
    struct stat info {
    };
    if (errno == ECONNREFUSED && lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) {
        ::unlink(path.c_str());
    }
    return {};
}

} // namespace

Result<Listening_socket> Listening_socket::create(const std::string& path)
{
    const sockaddr_un address = TRY(address_of(path));
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    TRY(remove_stale(address, path));
    Unique_fd socket      = TRY(new_socket());
    const mode_t old_mask = umask(0177);
    const int bound       = bind(socket.get(), generic(address), sizeof address);
    umask(old_mask);
    if (bound != 0) {
        return fail_errno("bind the store socket " + path);
    }
    Listening_socket result(std::move(socket), path);
    if (listen(result.fd(), kBacklog) != 0) {
        return fail_errno("listen on the store socket " + path);
    }
    return result;
}

Listening_socket::~Listening_socket()
{
    if (socket_) {
        ::unlink(path_.c_str());
    }
}

Result<Unique_fd> Listening_socket::accept()
{
    Unique_fd client(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client) {
        return fail_errno("accept a store client");
    }
    return client;
}

} // namespace vmm::store

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/readiness.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace vmm
{

void notify_service_manager(std::string_view state)
{
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    if (path == nullptr || path[0] == '\0' || std::strlen(path) >= sizeof address.sun_path) {
        return;
    }
    address.sun_family       = AF_UNIX;
    const std::size_t length = std::strlen(path);
    std::memcpy(address.sun_path, path, length);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; // the abstract namespace
    }
    const Unique_fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    // A service manager that does not listen is its own trouble.
    static_cast<void>(::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
                               reinterpret_cast<const sockaddr*>(&address), size));
}

Result<Background> Background::enter()
{
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) {
        return fail_errno("cannot go to the background");
    }
    Unique_fd reading(ends[0]);
    Unique_fd writing(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) {
        return fail_errno("cannot go to the background");
    }
    if (child > 0) {
        writing.reset();
        char ready = 0;
        ::_exit(::read(reading.get(), &ready, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    ::setsid();
    return Background(std::move(writing));
}

void Background::report_ready()
{
    const char ready = 1;
    static_cast<void>(::write(pipe_.get(), &ready, 1)); // a parent that was killed does not care
    pipe_.reset();
    const Unique_fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    ::dup2(null.get(), STDIN_FILENO);
    ::dup2(null.get(), STDOUT_FILENO);
    ::dup2(null.get(), STDERR_FILENO);
}

} // namespace vmm

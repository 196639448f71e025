// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/pidfile.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

namespace vmm
{

Result<Unique_fd> lock_pidfile(const std::string& path)
{
    std::error_code ignored; // open() says what is wrong with the directory
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    Unique_fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd || ::fchmod(fd.get(), 0600) < 0) { // one that was there may have been readable
        return fail_errno("pid file " + path);
    }
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK) {
            return fail_errno("pid file " + path);
        }
        std::array<char, 16> other{};
        const ssize_t got = ::read(fd.get(), other.data(), other.size() - 1);
        std::string pid(other.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
        while (!pid.empty() && pid.back() == '\n') {
            pid.pop_back();
        }
        return fail(Errc::busy, "vmmd is already running as process " + pid + " (pid file " + path + ")");
    }
    const std::string text = std::to_string(::getpid()) + "\n";
    if (::ftruncate(fd.get(), 0) < 0 || ::pwrite(fd.get(), text.data(), text.size(), 0) < 0) {
        return fail_errno("pid file " + path);
    }
    return fd;
}

} // namespace vmm

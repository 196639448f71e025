// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/console/log_file.hpp"

#include "toolstack/base/log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace vmm
{

Result<Log_file> Log_file::open(std::string path, Log_limits limits)
{
    Log_file log(std::move(path), limits);
    TRY(log.reopen());
    return log;
}

Result<void> Log_file::reopen()
{
    fd_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    struct stat status {
    };
    if (!fd_ || fstat(fd_.get(), &status) < 0) {
        return fail_errno("console log " + path_);
    }
    size_ = static_cast<std::uint64_t>(status.st_size);
    return {};
}

void Log_file::complain(const std::string& why)
{
    if (!complained_) {
        complained_ = true; // once: a full disk would otherwise fill the other log too
        log::warning(why + "; output is lost until it can be written again");
    }
}

Result<void> Log_file::rotate()
{
    for (unsigned n = limits_.old_files; n > 1; --n) {
        std::rename((path_ + "." + std::to_string(n - 1)).c_str(), (path_ + "." + std::to_string(n)).c_str());
    }
    if (limits_.old_files > 0) {
        std::rename(path_.c_str(), (path_ + ".1").c_str());
    } else {
        ::unlink(path_.c_str());
    }
    return reopen();
}

// What is not open is not moved aside: else each attempt would push another old file out.
Result<void> Log_file::make_room()
{
    if (!fd_) {
        TRY(reopen());
    }
    return size_ >= limits_.file_bytes ? rotate() : Result<void>{};
}

void Log_file::append(std::string_view text)
{
    while (!text.empty()) {
        if (const auto made = make_room(); !made) {
            complain(made.error().message);
            return;
        }
        const std::uint64_t room = limits_.file_bytes - std::min(size_, limits_.file_bytes);
        const std::size_t now =
            static_cast<std::size_t>(std::min<std::uint64_t>(text.size(), std::max<std::uint64_t>(room, 1)));
        const ssize_t written = ::write(fd_.get(), text.data(), now);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            complain("console log " + path_ + ": " + std::generic_category().message(errno));
            return;
        }
        complained_ = false;
        size_ += static_cast<std::uint64_t>(written);
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

} // namespace vmm

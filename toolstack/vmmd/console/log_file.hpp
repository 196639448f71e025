// SPDX-License-Identifier: Apache-2.0
#pragma once
// A console's log on disk: appended to, and moved aside (NAME.log.1, .2, ...) when it has reached its size,
// so that a guest can never use more than (old files + 1) times that. A disk that refuses to take it costs
// output, not the daemon.

#include "toolstack/base/error.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vmm
{

struct Log_limits {
    std::uint64_t file_bytes = 1U << 20;
    unsigned old_files       = 2;
};

class Log_file
{
  public:
    // The directory must exist. An existing file is continued.
    [[nodiscard]] static Result<Log_file> open(std::string path, Log_limits limits);
    void append(std::string_view text);
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    Log_file(std::string path, Log_limits limits) : path_(std::move(path)), limits_(limits) {}
    Result<void> reopen();
    Result<void> rotate();
    Result<void> make_room();
    void complain(const std::string& why);

    std::string path_;
    Log_limits limits_;
    Unique_fd fd_;
    std::uint64_t size_ = 0;
    bool complained_    = false;
};

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#pragma once
// The pseudo-terminal where people meet a domain's console. It owns the master side, keeps the slave open in
// raw mode so that its settings outlive the readers, and knows whether anybody else has the slave open
// (inotify): output is only worth writing then, because what the kernel takes it keeps for the next reader
// however old it gets.

#include "toolstack/base/error.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <string>
#include <string_view>

namespace vmm
{

class Pty
{
  public:
    [[nodiscard]] static Result<Pty> open();

    [[nodiscard]] const std::string& path() const { return path_; } // of the slave
    [[nodiscard]] int fd() const { return master_.get(); }          // readable: somebody typed
    [[nodiscard]] int attach_fd() const { return inotify_.get(); }  // readable: call read_attachments()

    [[nodiscard]] bool is_attached() const { return readers_ > 0; }
    void read_attachments();

    // Never blocks; returns how much was taken.
    std::size_t write(std::string_view text) const;
    // What was typed, at most `limit` bytes.
    [[nodiscard]] std::string read(std::size_t limit) const;

  private:
    Pty() = default;

    Unique_fd master_;
    Unique_fd slave_;
    Unique_fd inotify_;
    std::string path_;
    int readers_ = 0;
};

} // namespace vmm

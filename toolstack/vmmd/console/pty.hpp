// SPDX-License-Identifier: Apache-2.0
#pragma once
// The pseudo-terminal where people meet a domain's console. It owns the master side and keeps the slave open
// in raw mode so that its settings outlive the readers. Output is only worth writing while somebody else has
// the slave open, because what the kernel takes it keeps for the next reader however old it gets.

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

    // Never blocks; returns how much was taken.
    std::size_t write(std::string_view text) const;
    // What was typed, at most `limit` bytes.
    [[nodiscard]] std::string read(std::size_t limit) const;

  private:
    Pty() = default;

    Unique_fd master_;
    Unique_fd slave_;
    std::string path_;
};

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
// Cuts a byte stream into lines, whatever way the bytes arrive. Pure: no sockets, so it can be tested and
// fuzzed alone. A line longer than the limit is an error for good: the peer is broken and the stream has no
// safe place to go on.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace vmm::control
{

class Line_splitter
{
  public:
    explicit Line_splitter(std::size_t longest) : longest_(longest) {}

    void feed(std::string_view bytes) { buffer_ += bytes; }

    struct Too_long {
    };

    // The next complete line without its newline; nothing when none is complete yet.
    [[nodiscard]] std::expected<std::optional<std::string>, Too_long> next();

    [[nodiscard]] bool has_partial_line() const { return start_ < buffer_.size(); }

  private:
    std::size_t longest_;
    std::size_t start_   = 0; // of the first line not handed out
    std::size_t scanned_ = 0; // no newline in [start_, scanned_): keeps long lines linear
    std::string buffer_;
};

} // namespace vmm::control

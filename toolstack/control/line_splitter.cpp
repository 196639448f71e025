// SPDX-License-Identifier: Apache-2.0
#include "toolstack/control/line_splitter.hpp"

namespace vmm::control
{

std::expected<std::optional<std::string>, Line_splitter::Too_long> Line_splitter::next()
{
    const auto newline = buffer_.find('\n', scanned_);
    const auto end     = newline == std::string::npos ? buffer_.size() : newline;
    if (end - start_ > longest_)
        return std::unexpected(Too_long{});
    if (newline == std::string::npos) {
        buffer_.erase(0, start_);
        start_   = 0;
        scanned_ = buffer_.size();
        return std::nullopt;
    }
    std::string line = buffer_.substr(start_, newline - start_);
    start_           = newline + 1;
    scanned_         = start_;
    return line;
}

} // namespace vmm::control

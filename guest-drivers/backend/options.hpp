// SPDX-License-Identifier: Apache-2.0
#pragma once
// The command line of vmm-blkback, checked.

#include "guest-drivers/backend/device.hpp"
#include "guest-drivers/backend/image.hpp"

#include <span>
#include <string>

namespace vmm::block
{

struct Options {
    Device::Settings device;
    Image_options image;
    std::string source;     // a path or an NBD URI
    std::string log;        // where requests are noted for a successor; empty: nowhere
    std::string last_words; // a file for why it could not serve; empty: only the log is told
    bool help = false;
};

[[nodiscard]] Result<Options> parse_options(std::span<char* const> words);
[[nodiscard]] std::string usage();

} // namespace vmm::block

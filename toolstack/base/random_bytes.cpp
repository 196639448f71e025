// SPDX-License-Identifier: Apache-2.0
#include "toolstack/base/random_bytes.hpp"

#include <cerrno>
#include <cstdlib>
#include <sys/random.h>

namespace vmm
{

void fill_with_random(std::span<std::byte> bytes)
{
    while (!bytes.empty()) {
        const ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
        if (got > 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(got));
        } else if (errno != EINTR) {
            std::abort();
        }
    }
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/save/image_format.hpp"

#define XXH_INLINE_ALL // from the header, so that no program needs the shared library for one function
#include <xxhash.h>

namespace vmm::save
{

std::uint64_t checksum(std::span<const std::byte> bytes) { return XXH64(bytes.data(), bytes.size(), 0); }

} // namespace vmm::save

// SPDX-License-Identifier: Apache-2.0
#pragma once
// Bytes that nobody can foretell, from the kernel's generator.

#include <cstddef>
#include <span>

namespace vmm
{

void fill_with_random(std::span<std::byte> bytes);

} // namespace vmm

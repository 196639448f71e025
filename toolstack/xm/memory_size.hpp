// SPDX-License-Identifier: Apache-2.0
// A memory size as typed on the command line: a number and perhaps a unit, MiB without one as xl has it.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace vmm::xm
{

// In KiB. "512", "512m", "512MiB", "0.5g" is refused: whole numbers only. The error is a full sentence.
[[nodiscard]] std::expected<std::uint64_t, std::string> parse_memory_kib(std::string_view text);

} // namespace vmm::xm

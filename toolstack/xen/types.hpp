// SPDX-License-Identifier: Apache-2.0
#pragma once
// Identifiers the toolstack shares with the hypervisor, as types that do not mix. They carry no meaning
// beyond the number; `raw()` gives that number for an ABI structure or a message.

#include "toolstack/base/domid.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace vmm
{

enum class Gfn : std::uint64_t {};         // guest frame number, 4 KiB units
enum class Evtchn_port : std::uint32_t {}; // 0 is never a valid port
enum class Grant_ref : std::uint32_t {};

using Uuid_bytes = std::array<std::uint8_t, 16>;

inline constexpr std::size_t kPageSize = 4096;
inline constexpr unsigned kPageShift   = 12;

[[nodiscard]] constexpr std::uint16_t raw(Domid id) { return static_cast<std::uint16_t>(id); }
[[nodiscard]] constexpr std::uint64_t raw(Gfn gfn) { return static_cast<std::uint64_t>(gfn); }
[[nodiscard]] constexpr std::uint32_t raw(Evtchn_port port) { return static_cast<std::uint32_t>(port); }
[[nodiscard]] constexpr std::uint32_t raw(Grant_ref ref) { return static_cast<std::uint32_t>(ref); }

[[nodiscard]] constexpr Gfn gfn_of(std::uint64_t guest_physical) { return Gfn{guest_physical >> kPageShift}; }
[[nodiscard]] constexpr Gfn operator+(Gfn gfn, std::uint64_t pages) { return Gfn{raw(gfn) + pages}; }

} // namespace vmm

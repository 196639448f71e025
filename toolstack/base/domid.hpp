// SPDX-License-Identifier: Apache-2.0
#pragma once
// The number of a domain, as a type of its own so that it is never mistaken for a port, a frame or an errno.
// Values from DOMID_FIRST_RESERVED (xen/xen.h) on have special meanings and never name a domain.

#include <cstdint>
#include <string>

namespace vmm
{

enum class Domid : std::uint16_t {};

inline constexpr Domid kDom0{0};
inline constexpr std::uint32_t kFirstReservedDomid = 0x7ff0; // DOMID_FIRST_RESERVED

[[nodiscard]] constexpr unsigned to_number(Domid domid) { return static_cast<unsigned>(domid); }

[[nodiscard]] inline std::string to_string(Domid domid) { return std::to_string(to_number(domid)); }

} // namespace vmm

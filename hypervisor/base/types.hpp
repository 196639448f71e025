// SPDX-License-Identifier: Apache-2.0
//
// Strong types for everything that is a number in the ABI but means one thing only: frame numbers,
// addresses, identifiers. They compare and print; they do not mix. Arithmetic exists where it has a
// meaning (a frame plus a count of frames), and nowhere wraps silently on purpose: check what a guest gave.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace vmm
{

using u8  = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8  = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;

inline constexpr u64 kKiB = 1ull << 10;
inline constexpr u64 kMiB = 1ull << 20;
inline constexpr u64 kGiB = 1ull << 30;

inline constexpr u64 kPageShift = 12;
inline constexpr u64 kPageSize  = 1ull << kPageShift;
inline constexpr u64 kPageMask  = kPageSize - 1;

template <class Tag, class Rep>
class Strong
{
  public:
    using rep = Rep;

    constexpr Strong() = default;
    constexpr explicit Strong(Rep value) : value_(value) {}

    [[nodiscard]] constexpr Rep value() const { return value_; }
    constexpr auto operator<=>(const Strong&) const = default;

  private:
    Rep value_{};
};

// A Strong with an order that makes steps meaningful.
template <class Tag, class Rep>
class Ordinal : public Strong<Tag, Rep>
{
  public:
    using Strong<Tag, Rep>::Strong;

    constexpr Ordinal operator+(Rep n) const { return Ordinal(static_cast<Rep>(this->value() + n)); }
    constexpr Ordinal operator-(Rep n) const { return Ordinal(static_cast<Rep>(this->value() - n)); }
    constexpr Rep operator-(Ordinal other) const { return static_cast<Rep>(this->value() - other.value()); }
    constexpr Ordinal& operator++() { return *this = *this + Rep{1}; }
};

using Mfn  = Ordinal<struct Mfn_tag, u64>;  // machine frame number: host physical address >> 12
using Gfn  = Ordinal<struct Gfn_tag, u64>;  // guest frame number: guest physical address >> 12
using Hpa  = Ordinal<struct Hpa_tag, u64>;  // host physical address, bytes
using Gpa  = Ordinal<struct Gpa_tag, u64>;  // guest physical address, bytes
using Gva  = Ordinal<struct Gva_tag, u64>;  // guest linear address, bytes
using Time = Ordinal<struct Time_tag, u64>; // system time: nanoseconds since the hypervisor started

using Domid       = Strong<struct Domid_tag, u16>;
using Vcpu_id     = Strong<struct Vcpu_id_tag, u32>;
using Evtchn_port = Strong<struct Evtchn_port_tag, u32>;
using Grant_ref   = Strong<struct Grant_ref_tag, u32>;

inline constexpr Mfn kInvalidMfn{~0ull};
inline constexpr Gfn kInvalidGfn{~0ull};

constexpr Hpa to_hpa(Mfn mfn) { return Hpa(mfn.value() << kPageShift); }
constexpr Mfn to_mfn(Hpa hpa) { return Mfn(hpa.value() >> kPageShift); }
constexpr Gfn to_gfn(Gpa gpa) { return Gfn(gpa.value() >> kPageShift); }
constexpr u64 page_offset(Gpa gpa) { return gpa.value() & kPageMask; }
constexpr u64 page_offset(Gva gva) { return gva.value() & kPageMask; }

// A multiple of 2^order frames. Order 0 is 4 KiB, 9 is 2 MiB, 18 is 1 GiB.
inline constexpr unsigned kOrder4k = 0;
inline constexpr unsigned kOrder2m = 9;
inline constexpr unsigned kOrder1g = 18;

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
//
// Type-safe formatting into a bounded buffer: "{}" takes the next argument, "{x}" prints it in hex with
// 0x. Longer output is cut, never overrun. No locale, no allocation, no floating point.
#pragma once

#include "base/types.hpp"

#include <array>
#include <concepts>
#include <span>
#include <string_view>
#include <type_traits>

namespace vmm
{

class Format_arg
{
  public:
    enum class Kind : u8 { unsigned_number, signed_number, text };

    template <std::integral T>
    constexpr Format_arg(T v)
        : kind_(std::is_signed_v<T> ? Kind::signed_number : Kind::unsigned_number),
          number_(static_cast<u64>(v))
    {
    }
    template <class E>
    requires std::is_enum_v<E>
    constexpr Format_arg(E v) : Format_arg(static_cast<std::underlying_type_t<E>>(v)) {}
    template <class Tag, class Rep>
    constexpr Format_arg(Strong<Tag, Rep> v) : Format_arg(v.value())
    {
    }
    constexpr Format_arg(std::string_view v) : kind_(Kind::text), text_(v) {}
    constexpr Format_arg(const char* v) : kind_(Kind::text), text_(v ? v : "(null)") {}

    [[nodiscard]] constexpr Kind kind() const { return kind_; }
    [[nodiscard]] constexpr u64 number() const { return number_; }
    [[nodiscard]] constexpr std::string_view text() const { return text_; }

  private:
    Kind kind_;
    u64 number_ = 0;
    std::string_view text_;
};

// Writes to `out`, returns the part used. The result is not NUL-terminated.
std::string_view format_to(std::span<char> out, std::string_view format, std::span<const Format_arg> args);

template <class... Args>
constexpr std::array<Format_arg, sizeof...(Args)> format_args(const Args&... args)
{
    return {Format_arg(args)...};
}

template <class... Args>
std::string_view format_to(std::span<char> out, std::string_view format, const Args&... args)
{
    return format_to(out, format, std::span<const Format_arg>(format_args(args...)));
}

} // namespace vmm

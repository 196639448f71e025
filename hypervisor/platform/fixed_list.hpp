// SPDX-License-Identifier: Apache-2.0
//
// A list with room for N values inside itself, for what is found at boot, before there is a heap. A value
// that does not fit is refused, never written outside; the caller says so in the log.
#pragma once

#include "base/types.hpp"

#include <array>
#include <span>
#include <string_view>

namespace vmm
{

template <class T, std::size_t N>
class Fixed_list
{
  public:
    // False when the list is full.
    constexpr bool push(const T& value)
    {
        if (size_ == N)
            return false;
        values_[size_++] = value;
        return true;
    }
    // Only the first `size` values stay.
    constexpr void truncate(std::size_t size) { size_ = size; }

    [[nodiscard]] constexpr std::size_t size() const { return size_; }
    [[nodiscard]] constexpr bool empty() const { return size_ == 0; }
    constexpr T& operator[](std::size_t i) { return values_[i]; }
    constexpr const T& operator[](std::size_t i) const { return values_[i]; }
    constexpr T* begin() { return values_.data(); }
    constexpr T* end() { return values_.data() + size_; }
    constexpr const T* begin() const { return values_.data(); }
    constexpr const T* end() const { return values_.data() + size_; }

  private:
    std::array<T, N> values_{};
    std::size_t size_ = 0;
};

// A string with room for N characters; what is longer is cut, and cut() says so.
template <std::size_t N>
class Fixed_text
{
  public:
    constexpr void assign(std::string_view text)
    {
        size_ = text.size() < N ? text.size() : N;
        cut_  = size_ < text.size();
        for (std::size_t i = 0; i < size_; ++i)
            characters_[i] = text[i];
    }
    [[nodiscard]] constexpr std::string_view view() const { return {characters_.data(), size_}; }
    [[nodiscard]] constexpr bool empty() const { return size_ == 0; }
    [[nodiscard]] constexpr bool cut() const { return cut_; }

  private:
    std::array<char, N> characters_{};
    std::size_t size_ = 0;
    bool cut_         = false;
};

} // namespace vmm

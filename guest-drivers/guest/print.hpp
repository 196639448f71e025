// SPDX-License-Identifier: Apache-2.0
//
// Text for people: pieces put together in a line buffer and written by console_io, which needs no driver
// and nothing set up. A domU of a release build of Xen is not heard; it has a console ring instead, which
// print_to() puts in its place.
#pragma once

#include "guest/types.hpp"

#include <string_view>
#include <type_traits>

namespace vmm::guest
{

struct Hex {
    u64 value;
};
constexpr Hex hex(u64 value) { return {value}; }

// Where text goes from now on; nullptr: to console_io again.
using Text_sink = void (*)(std::string_view text);
void print_to(Text_sink sink);

class Line
{
  public:
    void put(std::string_view text);
    void put(const char* text) { put(std::string_view(text)); }
    void put(Hex number);
    void put(bool yes) { put(yes ? std::string_view("yes") : std::string_view("no")); }
    template <class T>
    requires std::is_integral_v<T>
    void put(T number)
    {
        if (number < 0)
            put(std::string_view("-"));
        put_decimal(number < 0 ? u64{0} - static_cast<u64>(number) : static_cast<u64>(number));
    }
    [[nodiscard]] std::string_view text() const { return {buffer_, length_}; }
    void write() const;

  private:
    void put_decimal(u64 number);

    char buffer_[256];
    u64 length_ = 0;
};

template <class... Pieces>
void print(const Pieces&... pieces)
{
    Line line;
    (line.put(pieces), ...);
    line.put(std::string_view("\n"));
    line.write();
}

} // namespace vmm::guest

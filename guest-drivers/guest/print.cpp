// SPDX-License-Identifier: Apache-2.0
#include "guest/print.hpp"

#include "guest/hypercall.hpp"

namespace vmm::guest
{

namespace
{
constinit Text_sink chosen_sink = nullptr;
}

void print_to(Text_sink sink) { chosen_sink = sink; }

void Line::put(std::string_view text)
{
    for (const char c : text) {
        if (length_ < sizeof buffer_)
            buffer_[length_++] = c;
    }
}

void Line::put(Hex number)
{
    put(std::string_view("0x"));
    bool started = false;
    for (int shift = 60; shift >= 0; shift -= 4) {
        const unsigned digit = number.value >> shift & 15;
        started              = started || digit != 0 || shift == 0;
        if (started)
            put(std::string_view(&"0123456789abcdef"[digit], 1));
    }
}

void Line::put_decimal(u64 number)
{
    char digits[20];
    unsigned first = sizeof digits;
    do {
        digits[--first] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    put(std::string_view(digits + first, sizeof digits - first));
}

void Line::write() const
{
    if (chosen_sink)
        chosen_sink(text());
    else
        console_write(buffer_, length_);
}

} // namespace vmm::guest

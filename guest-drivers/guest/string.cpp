// SPDX-License-Identifier: Apache-2.0
//
// The functions a freestanding compiler and the headers of the standard library call on their own.
#include <cstddef>
#include <cstdint>

extern "C" {

void* memcpy(void* to, const void* from, std::size_t n)
{
    void* const start = to;
    std::size_t words = n / 8;
    n %= 8;
    asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return start;
}

void* memmove(void* to, const void* from, std::size_t n)
{
    if (reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from) >= n)
        return memcpy(to, from, n);
    auto* target       = static_cast<unsigned char*>(to);
    const auto* source = static_cast<const unsigned char*>(from);
    while (n-- > 0) {
        target[n] = source[n];
        asm volatile("" : : : "memory");
    }
    return to;
}

void* memset(void* to, int value, std::size_t n)
{
    void* const start = to;
    asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
    return start;
}

int memcmp(const void* a, const void* b, std::size_t n)
{
    const auto* x = static_cast<const unsigned char*>(a);
    const auto* y = static_cast<const unsigned char*>(b);
    for (std::size_t i = 0; i < n; ++i) {
        if (x[i] != y[i])
            return x[i] - y[i];
    }
    return 0;
}

const void* memchr(const void* where, int value, std::size_t n)
{
    const auto* at = static_cast<const unsigned char*>(where);
    for (std::size_t i = 0; i < n; ++i) {
        if (at[i] == static_cast<unsigned char>(value))
            return at + i;
    }
    return nullptr;
}

std::size_t strlen(const char* text)
{
    std::size_t n = 0;
    while (text[n] != 0)
        ++n;
    return n;
}
}

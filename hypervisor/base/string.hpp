// SPDX-License-Identifier: Apache-2.0
//
// Copying and filling bytes. Freestanding code has no C library, so string.cpp exports the C names the
// compiler calls (memcpy and friends) from these functions; hosted tests check the functions themselves.
// Long runs use the string instructions eight bytes at a time, short ones plain moves; the last bytes are
// done by one overlapping move, so nothing depends on alignment.
#pragma once

#include "base/types.hpp"

namespace vmm::bytes
{

// A value of any alignment.
template <class T>
T load(const void* from)
{
    T value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}
template <class T>
void store(void* to, T value)
{
    __builtin_memcpy(to, &value, sizeof value);
}

namespace detail
{
inline u8* at(void* p, std::size_t offset) { return static_cast<u8*>(p) + offset; }
inline const u8* at(const void* p, std::size_t offset) { return static_cast<const u8*>(p) + offset; }

// First and last T of a run that is at least one and at most two T long.
template <class T>
void copy_ends(void* to, const void* from, std::size_t n)
{
    const T first = load<T>(from);
    const T last  = load<T>(at(from, n - sizeof(T)));
    store(to, first);
    store(at(to, n - sizeof(T)), last);
}
template <class T>
void fill_ends(void* to, u64 pattern, std::size_t n)
{
    store(to, static_cast<T>(pattern));
    store(at(to, n - sizeof(T)), static_cast<T>(pattern));
}
} // namespace detail

// Overlap is allowed up to 16 bytes and when `to` is below `from`.
inline void copy(void* to, const void* from, std::size_t n)
{
    if (n >= 8) {
        if (n <= 16)
            return detail::copy_ends<u64>(to, from, n);
        const u64 last    = load<u64>(detail::at(from, n - 8));
        void* end         = detail::at(to, n - 8);
        std::size_t words = (n - 1) / 8;
        asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
        return store(end, last);
    }
    if (n >= 4)
        return detail::copy_ends<u32>(to, from, n);
    if (n >= 2)
        return detail::copy_ends<u16>(to, from, n);
    if (n == 1)
        store(to, load<u8>(from));
}

inline void fill(void* to, u8 value, std::size_t n)
{
    const u64 pattern = value * 0x0101010101010101ull;
    if (n >= 8) {
        if (n <= 16)
            return detail::fill_ends<u64>(to, pattern, n);
        store(detail::at(to, n - 8), pattern);
        std::size_t words = (n - 1) / 8;
        asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
        return;
    }
    if (n >= 4)
        return detail::fill_ends<u32>(to, pattern, n);
    if (n >= 2)
        return detail::fill_ends<u16>(to, pattern, n);
    if (n == 1)
        store(to, value);
}

// Whole pages, page-aligned. Sixteen bytes a store through one vector register, whose value (a guest's) is
// put back: half the instructions of the string form, and far faster where those are emulated.
inline void zero_pages(void* pages, u64 count)
{
    alignas(16) u8 saved[16];
    auto* at      = static_cast<u8*>(pages);
    const u8* end = at + count * kPageSize;
    asm volatile("movups %%xmm0, %[saved]\n\t"
                 "xorps %%xmm0, %%xmm0\n"
                 "1:\n\t"
                 ".set offset, 0\n\t"
                 ".rept 32\n\t"
                 "movaps %%xmm0, offset(%[at])\n\t"
                 ".set offset, offset + 16\n\t"
                 ".endr\n\t"
                 "add $512, %[at]\n\t"
                 "cmp %[end], %[at]\n\t"
                 "jb 1b\n\t"
                 "movups %[saved], %%xmm0"
                 : [at] "+r"(at), [saved] "=m"(saved)
                 : [end] "r"(end)
                 : "memory", "cc");
}

inline void move(void* to, const void* from, std::size_t n)
{
    const auto target = reinterpret_cast<std::uintptr_t>(to);
    const auto source = reinterpret_cast<std::uintptr_t>(from);
    // Forwards is right unless the target starts inside the source; then from the end, where each store
    // is above everything still to be read. The empty asm keeps the compiler from calling memmove for it.
    if (n <= 16 || target - source >= n)
        return copy(to, from, n);
    std::size_t left = n;
    while (left >= 8) {
        left -= 8;
        asm volatile("");
        store(detail::at(to, left), load<u64>(detail::at(from, left)));
    }
    while (left > 0) {
        --left;
        asm volatile("");
        store(detail::at(to, left), load<u8>(detail::at(from, left)));
    }
}

inline int compare(const void* a, const void* b, std::size_t n)
{
    std::size_t i = 0;
    while (i + 8 <= n && load<u64>(detail::at(a, i)) == load<u64>(detail::at(b, i)))
        i += 8;
    for (; i < n; ++i) {
        const int difference = *detail::at(a, i) - *detail::at(b, i);
        if (difference != 0)
            return difference;
    }
    return 0;
}

inline std::size_t length(const char* text)
{
    std::size_t n = 0;
    // The empty asm keeps the compiler from turning the loop into the strlen this implements.
    for (; text[n] != '\0'; ++n)
        asm volatile("");
    return n;
}

} // namespace vmm::bytes

// SPDX-License-Identifier: Apache-2.0
//
// What the compiler calls and GNU-EFI does not have.
#include "base/string.hpp"

#include <string_view> // declares what its preconditions call

namespace std
{

// substr() behind the end of a text: a mistake of ours. Nobody can be told here, so the machine is not left
// running something else.
void __throw_out_of_range_fmt(const char*, ...) { __builtin_trap(); }

} // namespace std

extern "C" {

void* memmove(void* to, const void* from, std::size_t n)
{
    vmm::bytes::move(to, from, n);
    return to;
}

int memcmp(const void* a, const void* b, std::size_t n) { return vmm::bytes::compare(a, b, n); }

std::size_t strlen(const char* text) { return vmm::bytes::length(text); }

void* memchr(const void* in, int value, std::size_t n)
{
    const auto* at = static_cast<const vmm::u8*>(in);
    for (; n != 0; --n, ++at) {
        if (*at == static_cast<vmm::u8>(value))
            return const_cast<vmm::u8*>(at);
    }
    return nullptr;
}

} // extern "C"

// SPDX-License-Identifier: Apache-2.0
#include "base/string.hpp"

#if !__STDC_HOSTED__

extern "C" {

void* memcpy(void* to, const void* from, std::size_t n)
{
    vmm::bytes::copy(to, from, n);
    return to;
}

void* memmove(void* to, const void* from, std::size_t n)
{
    vmm::bytes::move(to, from, n);
    return to;
}

void* memset(void* to, int value, std::size_t n)
{
    vmm::bytes::fill(to, static_cast<vmm::u8>(value), n);
    return to;
}

int memcmp(const void* a, const void* b, std::size_t n) { return vmm::bytes::compare(a, b, n); }

std::size_t strlen(const char* text) { return vmm::bytes::length(text); }

} // extern "C"

#endif

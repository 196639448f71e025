// SPDX-License-Identifier: Apache-2.0
//
// The guest-memory seam. Everything a guest points at is copied once, bounds-checked, into a local of the
// hypervisor (or out of one); no handler ever holds a guest pointer, so nothing can change between check
// and use. Addresses in hypercalls are guest linear addresses of the calling vCPU: they are translated
// through the guest's own page tables (4 and 5 levels, 2 MiB and 1 GiB pages, user pages allowed only with
// EFLAGS.AC or without SMAP) and then through the p2m. Writes honour the guest's write permission and the
// p2m's; nothing is written when the range is not wholly accessible up to the failing page.
#pragma once

#include "base/expected.hpp"

#include <span>
#include <type_traits>

namespace vmm
{

class Vcpu;
class Domain;

// Where a linear address of the vCPU leads right now; efault when it may not write there.
Expected<Gpa> translate_guest_write(Vcpu& vcpu, Gva address);

Expected<void> copy_from_guest(Vcpu& vcpu, void* to, Gva from, u64 bytes);
Expected<void> copy_to_guest(Vcpu& vcpu, Gva to, const void* from, u64 bytes);

// What of `bytes` can be read there: an instruction may end right before a page that is not there.
std::span<const u8> fetch_across_pages(Vcpu& vcpu, Gva at, std::span<u8> bytes);
inline std::span<const u8> fetch_instruction(Vcpu& vcpu, Gva at, std::span<u8> bytes)
{
    if (page_offset(at) > kPageSize - bytes.size()) [[unlikely]]
        return fetch_across_pages(vcpu, at, bytes);
    return bytes.first(copy_from_guest(vcpu, bytes.data(), at, bytes.size()) ? bytes.size() : 0);
}

// By guest physical address, for a structure the ABI names that way.
Expected<void> copy_from_guest_physical(Domain& domain, void* to, Gpa from, u64 bytes);

template <class T>
Expected<T> read_guest(Vcpu& vcpu, Gva from)
{
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    TRY(copy_from_guest(vcpu, &value, from, sizeof value));
    return value;
}

template <class T>
Expected<void> write_guest(Vcpu& vcpu, Gva to, const T& value)
{
    static_assert(std::is_trivially_copyable_v<T>);
    return copy_to_guest(vcpu, to, &value, sizeof value);
}

// The i-th element of a guest array; the multiplication is checked.
template <class T>
Expected<T> read_guest_element(Vcpu& vcpu, Gva array, u64 index)
{
    u64 address{};
    if (__builtin_mul_overflow(index, sizeof(T), &address) ||
        __builtin_add_overflow(address, array.value(), &address))
        return fail(Errc::efault);
    return read_guest<T>(vcpu, Gva(address));
}

template <class T>
Expected<void> write_guest_element(Vcpu& vcpu, Gva array, u64 index, const T& value)
{
    u64 address{};
    if (__builtin_mul_overflow(index, sizeof(T), &address) ||
        __builtin_add_overflow(address, array.value(), &address))
        return fail(Errc::efault);
    return write_guest(vcpu, Gva(address), value);
}

} // namespace vmm

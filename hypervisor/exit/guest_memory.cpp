// SPDX-License-Identifier: Apache-2.0
#include "exit/guest_memory.hpp"

#include "arch/x86/paging/guest_walk.hpp"
#include "base/string.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

// What of a vCPU decides where its addresses lead.
struct Cpu_of {
    const Vcpu& vcpu;

    [[nodiscard]] bool alignment_check() const { return (vcpu.regs.rflags & rflags::ac) != 0; }
    [[nodiscard]] Paging_state paging() const { return vcpu.backend().paging(); }
    [[nodiscard]] bool paging_is(const Paging_state& state) const { return vcpu.backend().paging_is(state); }
};

[[gnu::always_inline]] inline u8* translate(Vcpu& vcpu, Gva gva, bool write)
{
    return vcpu.translation.locate(vcpu.domain().p2m(), Cpu_of{vcpu}, gva, write);
}

[[gnu::noinline]] u8* translate_next(Vcpu& vcpu, u64 at, bool write)
{
    return translate(vcpu, Gva(at), write);
}

// Calls step(host, done, bytes) for each page of the range.
template <class Locate, class Step>
Expected<void> by_page(u64 start, u64 bytes, Locate locate, Step step)
{
    u64 end = 0;
    if (__builtin_add_overflow(start, bytes, &end)) [[unlikely]]
        return fail(Errc::efault);
    for (u64 done = 0; done < bytes;) {
        const u64 at   = start + done;
        const u64 part = std::min(bytes - done, kPageSize - (at & kPageMask));
        u8* const host = locate(at);
        if (!host) [[unlikely]]
            return fail(Errc::efault);
        step(host, done, part);
        done += part;
    }
    return {};
}

template <class Locate>
Expected<void> copy_in(void* to, u64 from, u64 bytes, Locate locate)
{
    return by_page(from, bytes, locate, [&](const u8* host, u64 done, u64 part) {
        bytes::copy(static_cast<u8*>(to) + done, host, part);
    });
}

} // namespace

Expected<Gpa> translate_guest_write(Vcpu& vcpu, Gva address)
{
    const Cpu_of cpu{vcpu};
    Walk_trace trace;
    const auto walked = TRY(walk_guest(vcpu.domain().p2m(), vcpu.translation.regions(), cpu.paging(),
                                       cpu.alignment_check(), address, true, trace));
    return walked.gpa;
}

// Most of what is copied lies in one page, and is small: a hypercall's argument, an instruction.
Expected<void> copy_from_guest(Vcpu& vcpu, void* to, Gva from, u64 bytes)
{
    if (bytes - 1 < kPageSize - page_offset(from)) [[likely]] {
        const u8* const host = translate(vcpu, from, false);
        if (!host) [[unlikely]]
            return fail(Errc::efault);
        bytes::copy(to, host, bytes);
        return {};
    }
    return copy_in(to, from.value(), bytes, [&](u64 at) { return translate_next(vcpu, at, false); });
}

Expected<void> copy_to_guest(Vcpu& vcpu, Gva to, const void* from, u64 bytes)
{
    if (bytes - 1 < kPageSize - page_offset(to)) [[likely]] {
        u8* const host = translate(vcpu, to, true);
        if (!host) [[unlikely]]
            return fail(Errc::efault);
        bytes::copy(host, from, bytes);
        return {};
    }
    return by_page(
        to.value(), bytes, [&](u64 at) { return translate_next(vcpu, at, true); },
        [&](u8* host, u64 done, u64 part) { bytes::copy(host, static_cast<const u8*>(from) + done, part); });
}

std::span<const u8> fetch_across_pages(Vcpu& vcpu, Gva at, std::span<u8> bytes)
{
    const u64 here = kPageSize - page_offset(at);
    if (!copy_from_guest(vcpu, bytes.data(), at, here))
        return {};
    const bool whole = copy_from_guest(vcpu, bytes.data() + here, at + here, bytes.size() - here).has_value();
    return whole ? bytes : bytes.first(here);
}

Expected<void> copy_from_guest_physical(Domain& domain, void* to, Gpa from, u64 bytes)
{
    Region_cache none;
    return copy_in(to, from.value(), bytes,
                   [&](u64 at) { return none.locate(domain.p2m(), at, Region_cache::Access::read); });
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "lib/context.hpp"

#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;

namespace vmm::guest_test
{

namespace
{

constexpr u32 kRoom = 4 * kPageSize;
alignas(kPageSize) constinit u8 records[kRoom]{};
constinit u32 used = 0;

} // namespace

s64 Context::get(domid_t domain)
{
    xen_domctl op{};
    op.u.hvmcontext.size = kRoom;
    set_xen_guest_handle(op.u.hvmcontext.buffer, records);
    const s64 rc = domctl(op, XEN_DOMCTL_gethvmcontext, domain);
    used         = op.u.hvmcontext.size;
    return rc;
}

s64 Context::set(domid_t domain)
{
    xen_domctl op{};
    op.u.hvmcontext.size = used;
    set_xen_guest_handle(op.u.hvmcontext.buffer, records);
    return domctl(op, XEN_DOMCTL_sethvmcontext, domain);
}

void* Context::find_body(u32 type)
{
    for (u32 at = 0; at + sizeof(hvm_save_descriptor) <= used;) {
        const auto* d = reinterpret_cast<const hvm_save_descriptor*>(records + at);
        at += sizeof *d;
        if (d->typecode == type)
            return records + at;
        at += d->length;
    }
    return nullptr;
}

void Context::append(u32 type, const void* body, u32 size)
{
    const hvm_save_descriptor head{static_cast<u16>(type), 0, size}, end{HVM_SAVE_CODE(END), 0, 0};
    NEED(used + sizeof head + size <= kRoom);
    u8* at = records + used - sizeof end;
    __builtin_memcpy(at, &head, sizeof head);
    __builtin_memcpy(at + sizeof head, body, size);
    __builtin_memcpy(at + sizeof head + size, &end, sizeof end);
    used += static_cast<u32>(sizeof head) + size;
}

} // namespace vmm::guest_test

// SPDX-License-Identifier: Apache-2.0
//
// CONSOLEIO_*: dom0 talks on the hypervisor's console, raw; what a domU writes (its last words, mostly)
// goes to the guest log, a line at a time. [xen/include/public/xen.h]
#include "debug/guest_text.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"
#include "hypercall/hypercall.hpp"
#include "platform/console.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

constexpr u64 kPiece     = 256;
constexpr unsigned kTurn = 16; // pieces before others get a chance

void write_piece(Vcpu& vcpu, std::string_view text)
{
    if (vcpu.domain().is_control()) {
        console_write(text);
        return;
    }
    log_guest_text(vcpu.domain().id(), text);
}

Hypercall_result write(Vcpu& vcpu, Hypercall_args& args)
{
    u64& left    = args.a[1];
    u64& address = args.a[2];
    left &= 0x7fffffff;
    for (unsigned piece = 0; left > 0; ++piece) {
        if (piece == kTurn)
            return fail(Errc::erestart);
        char text[kPiece];
        const u64 now = std::min(left, kPiece);
        TRY(copy_from_guest(vcpu, text, Gva(address), now));
        write_piece(vcpu, {text, now});
        left -= now;
        address += now;
    }
    return 0;
}

Hypercall_result read(Vcpu& vcpu, const Hypercall_args& args)
{
    u64 done = 0;
    while (done < args.a[1]) {
        char text[kPiece];
        const auto got = console_read(std::span(text).first(std::min(args.a[1] - done, kPiece)));
        if (got == 0)
            break;
        TRY(copy_to_guest(vcpu, Gva(args.a[2] + done), text, got));
        done += got;
    }
    return done;
}

} // namespace

Hypercall_result do_console_io(Vcpu& vcpu, Hypercall_args& args)
{
    // Xen without its debugging options refuses even that; the last words of a kernel that dies are worth
    // more.
    if (!vcpu.domain().is_control() && args.a[0] != CONSOLEIO_write)
        return fail(Errc::eperm);
    switch (args.a[0]) {
    case CONSOLEIO_write: return write(vcpu, args);
    case CONSOLEIO_read: return read(vcpu, args);
    default: return fail(Errc::enosys);
    }
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/legacy_pic.hpp"

#include "arch/x86/cpu/port_io.hpp"
#include "arch/x86/intr/vectors.hpp"

namespace vmm
{
namespace
{

constexpr u16 kPrimary    = 0x20;
constexpr u16 kSecondary  = 0xa0;
constexpr u8 kFirstVector = 0x20;

void do_nothing(void*) {}

// ICW1 to ICW4, then everything masked. [8259A data sheet]
void set_up(u16 port, u8 vector, u8 cascade)
{
    out8(port, 0x11);
    out8(port + 1, vector);
    out8(port + 1, cascade);
    out8(port + 1, 0x01);
    out8(port + 1, 0xff);
}

} // namespace

void silence_legacy_pic()
{
    set_up(kPrimary, kFirstVector, 1u << 2);
    set_up(kSecondary, kFirstVector + 8, 2);
    // Even masked, each can raise its last line when a request vanishes; that is not from the local APIC.
    set_handler(kFirstVector + 7, Eoi::none, do_nothing, nullptr);
    set_handler(kFirstVector + 15, Eoi::none, do_nothing, nullptr);
}

} // namespace vmm

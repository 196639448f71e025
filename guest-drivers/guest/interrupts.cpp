// SPDX-License-Identifier: Apache-2.0
#include "guest/interrupts.hpp"

#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/print.hpp"

extern "C" const vmm::guest::u8 interrupt_stubs[];

namespace vmm::guest
{

namespace
{

constexpr u64 kStubSize = 16;

// [SDM3 7.14.1]
struct [[gnu::packed]] Gate {
    u16 low;
    u16 selector;
    u8 stack;
    u8 type;
    u16 middle;
    u32 high;
    u32 reserved;
};
static_assert(sizeof(Gate) == 16);

struct [[gnu::packed]] Table_pointer {
    u16 limit;
    u64 base;
};

Gate idt[256];
Interrupt_handler handlers[256];
u64 counts[256];

[[noreturn]] void die(const Interrupt_frame& frame)
{
    print("unexpected exception ", frame.vector, " error ", hex(frame.error_code), " at ", hex(frame.rip),
          " rsp ", hex(frame.rsp));
    shut_down(SHUTDOWN_crash);
}

} // namespace

extern "C" void interrupt_arrived(Interrupt_frame& frame)
{
    ++counts[frame.vector];
    if (const Interrupt_handler handler = handlers[frame.vector]) {
        handler(frame);
        return;
    }
    if (frame.vector >= 32)
        return;
    if (fault_probe.resume == 0)
        die(frame);
    fault_probe.vector     = static_cast<u32>(frame.vector);
    fault_probe.error_code = static_cast<u32>(frame.error_code);
    frame.rip              = fault_probe.resume;
    fault_probe.resume     = 0;
}

void load_idt()
{
    for (unsigned vector = 0; vector < 256; ++vector) {
        const u64 stub = reinterpret_cast<u64>(interrupt_stubs) + vector * kStubSize;
        idt[vector]    = {static_cast<u16>(stub),       0x08, 0, 0x8e, static_cast<u16>(stub >> 16),
                          static_cast<u32>(stub >> 32), 0};
    }
    const Table_pointer pointer{sizeof idt - 1, reinterpret_cast<u64>(idt)};
    asm volatile("lidt %0" : : "m"(pointer));
}

void set_handler(u8 vector, Interrupt_handler handler) { handlers[vector] = handler; }

u64 interrupt_count(u8 vector) { return *const_cast<volatile u64*>(&counts[vector]); }

} // namespace vmm::guest

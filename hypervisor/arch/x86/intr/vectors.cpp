// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/vectors.hpp"

#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/intr/local_apic_driver.hpp"
#include "debug/log.hpp"
#include "debug/panic.hpp"

#include <array>

namespace vmm
{
namespace
{

constexpr u64 kExceptions        = 32;
constexpr u64 kGeneralProtection = 13;

struct Slot {
    Interrupt_handler function = nullptr;
    void* context              = nullptr;
    Eoi eoi                    = Eoi::before_handler;
};

constinit std::array<Slot, 256> slots{};

void handle_exception(Exception_frame& frame)
{
    if (frame.vector == kGeneralProtection) {
        if (const u64 go_on = fixup_for(frame.rip)) {
            frame.rip = go_on;
            return;
        }
    }
    panic_on_exception(frame);
}

} // namespace

void set_handler(u8 vector, Eoi eoi, Interrupt_handler function, void* context)
{
    slots[vector] = {function, context, eoi};
}

Expected<u8> allocate_vector(Eoi eoi, Interrupt_handler function, void* context)
{
    for (unsigned v = kFirstDynamicVector; v <= kLastDynamicVector; ++v) {
        if (!slots[v].function) {
            set_handler(static_cast<u8>(v), eoi, function, context);
            return static_cast<u8>(v);
        }
    }
    return fail(Errc::enospc);
}

void free_vector(u8 vector) { slots[vector] = {}; }

extern "C" void handle_vector(Exception_frame& frame)
{
    if (frame.vector < kExceptions) [[unlikely]]
        return handle_exception(frame);
    const Slot slot = slots[frame.vector];
    if (slot.eoi == Eoi::before_handler)
        host_apic::end_of_interrupt();
    if (slot.function)
        slot.function(slot.context);
    else
        log::guest(log::Level::debug, "interrupt on vector {x} that nobody uses", frame.vector);
    if (slot.eoi == Eoi::after_handler)
        host_apic::end_of_interrupt();
}

} // namespace vmm

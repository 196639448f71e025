// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/vectors.hpp"

#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/intr/local_apic_driver.hpp"
#include "base/spinlock.hpp"
#include "base/turns.hpp"
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
constinit Spinlock lock{Lock_rank::vectors}; // slots change on one CPU while another takes an interrupt

// Those that are not handed out are there before the first interrupt, and stay.
Slot slot_of(u64 vector)
{
    if (vector < kFirstDynamicVector || vector > kLastDynamicVector)
        return slots[vector];
    const Lock_guard guard(lock);
    return slots[vector];
}

// A CPU that halts is out of the hypervisor, and for as long as it handles an interrupt it is in.
class Inside
{
  public:
    Inside() : from_outside_(turns::is_out(turns::of(this_cpu())))
    {
        if (from_outside_)
            turns::come_in();
    }
    ~Inside()
    {
        if (from_outside_)
            turns::go_out();
    }
    Inside(const Inside&)            = delete;
    Inside& operator=(const Inside&) = delete;

  private:
    bool from_outside_;
};

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
    const Lock_guard guard(lock);
    slots[vector] = {function, context, eoi};
}

Expected<u8> allocate_vector(Eoi eoi, Interrupt_handler function, void* context)
{
    const Lock_guard guard(lock);
    for (unsigned v = kFirstDynamicVector; v <= kLastDynamicVector; ++v) {
        if (!slots[v].function) {
            slots[v] = {function, context, eoi};
            return static_cast<u8>(v);
        }
    }
    return fail(Errc::enospc);
}

void free_vector(u8 vector)
{
    const Lock_guard guard(lock);
    slots[vector] = {};
}

extern "C" void handle_vector(Exception_frame& frame)
{
    if (frame.vector < kExceptions) [[unlikely]]
        return handle_exception(frame);
    const Inside inside;
    const Slot slot = slot_of(frame.vector);
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

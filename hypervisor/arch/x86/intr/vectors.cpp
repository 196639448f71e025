// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/vectors.hpp"

#include "arch/x86/cpu/firmware_call.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/intr/local_apic_driver.hpp"
#include "base/spinlock.hpp"
#include "base/turns.hpp"
#include "debug/log.hpp"
#include "debug/panic.hpp"
#include "emul/host_interrupts.hpp"
#include "platform/cpus.hpp"

#include <array>
#include <atomic>

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

// What one CPU has handed out; others change it while it takes interrupts.
struct Handed_out {
    Spinlock lock{Lock_rank::vectors};
    std::array<Slot, kLastDynamicVector - kFirstDynamicVector + 1> slots{};
    // Odd from before the CPU looks for a handler until that has returned. The lock orders it for others: who
    // takes a handler out of its slot finds the CPU in it, or the CPU finds the slot empty.
    std::atomic<u64> handling{0};

    // Only the CPU itself counts.
    void count_handling(std::memory_order order)
    {
        handling.store(handling.load(std::memory_order_relaxed) + 1, order);
    }
    void set(u64 vector, const Slot& slot)
    {
        const Lock_guard guard(lock);
        slots[vector - kFirstDynamicVector] = slot;
    }
    Slot get(u64 vector)
    {
        const Lock_guard guard(lock);
        return slots[vector - kFirstDynamicVector];
    }
    // The vector it is now, or 0.
    u8 take(const Slot& slot)
    {
        const Lock_guard guard(lock);
        for (unsigned i = 0; i < slots.size(); ++i) {
            if (!slots[i].function) {
                slots[i] = slot;
                return static_cast<u8>(kFirstDynamicVector + i);
            }
        }
        return 0;
    }
};

constinit std::array<Slot, 256> common{}; // there before the first interrupt, and stay
constinit Per_cpu<Handed_out> handed_out;

Slot slot_of(u64 vector)
{
    const bool dynamic = vector >= kFirstDynamicVector && vector <= kLastDynamicVector;
    return dynamic ? handed_out.here().get(vector) : common[vector];
}

// The destination of a pin or a message has eight bits, and all of them set are everybody. [SDM3 11.11.1]
bool devices_reach(u32 cpu) { return known_cpus.list[cpu].apic_id < 0xff; }

void handle_exception(Exception_frame& frame)
{
    u64 go_on = give_up_firmware_call(frame);
    if (go_on == 0 && frame.vector == kGeneralProtection)
        go_on = fixup_for(frame.rip);
    if (go_on == 0)
        panic_on_exception(frame);
    frame.rip = go_on;
}

} // namespace

void set_handler(u8 vector, Eoi eoi, Interrupt_handler function, void* context)
{
    common[vector] = {function, context, eoi};
}

Expected<Host_vector> allocate_vector(u32 cpu, Eoi eoi, Interrupt_handler function, void* context)
{
    for (u32 i = 0; i < cpu_count(); ++i) {
        const u32 candidate = (cpu + i) % cpu_count();
        if (!is_online(candidate) || !devices_reach(candidate))
            continue;
        if (const u8 vector = handed_out.of(candidate).take({function, context, eoi}))
            return Host_vector{candidate, vector};
    }
    return fail(Errc::enospc);
}

void change_handler(Host_vector at, Eoi eoi, Interrupt_handler function, void* context)
{
    handed_out.of(at.cpu).set(at.vector, {function, context, eoi});
}

void free_vector(Host_vector at) { handed_out.of(at.cpu).set(at.vector, {}); }

void host_interrupts::wait_for_handlers()
{
    for (u32 cpu = 0; cpu < cpu_count(); ++cpu) {
        const std::atomic<u64>& handling = handed_out.of(cpu).handling;
        const u64 seen                   = handling.load(std::memory_order_acquire);
        while ((seen & 1) && handling.load(std::memory_order_acquire) == seen)
            __builtin_ia32_pause();
    }
}

extern "C" void handle_vector(Exception_frame& frame)
{
    if (frame.vector < kExceptions) [[unlikely]]
        return handle_exception(frame);
    // A CPU that halts is out of the hypervisor, and for as long as it handles an interrupt it is in.
    const bool from_outside = turns::is_out(turns::of(this_cpu()));
    if (from_outside)
        turns::come_in();
    handed_out.here().count_handling(std::memory_order_relaxed);
    const Slot slot = slot_of(frame.vector);
    if (slot.eoi == Eoi::before_handler)
        host_apic::end_of_interrupt();
    if (slot.function)
        slot.function(slot.context);
    else
        log::guest(log::Level::debug, "interrupt on vector {x} that nobody uses", frame.vector);
    if (slot.eoi == Eoi::after_handler)
        host_apic::end_of_interrupt();
    handed_out.here().count_handling(std::memory_order_release);
    if (from_outside)
        turns::go_out();
}

} // namespace vmm

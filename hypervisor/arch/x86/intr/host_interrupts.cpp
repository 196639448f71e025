// SPDX-License-Identifier: Apache-2.0
//
// What emul/host_interrupts.hpp asks for of vectors (the IO-APIC driver has the rest). All interrupts go to
// the boot CPU.
#include "emul/host_interrupts.hpp"

#include "arch/x86/intr/interrupts.hpp"
#include "arch/x86/intr/io_apic_driver.hpp"
#include "arch/x86/intr/local_apic_driver.hpp"
#include "arch/x86/intr/vectors.hpp"
#include "base/spinlock.hpp"
#include "platform/cpus.hpp"
#include "platform/fixed_list.hpp"

namespace vmm::host_interrupts
{
namespace
{

constexpr u64 kMsiAddress = 0xfee00000; // [SDM3 11.11.1]

struct Bound_gsi {
    u32 gsi;
    u8 vector;
};
constinit Fixed_list<Bound_gsi, 256> bound;
// Several emulated IO-APICs bind, each with its own lock.
constinit Spinlock bound_lock{Lock_rank::bound_interrupts};

u32 boot_cpu_id() { return known_cpus.list[0].apic_id; }

const Bound_gsi* find_bound(u32 gsi)
{
    for (const Bound_gsi& b : bound) {
        if (b.gsi == gsi)
            return &b;
    }
    return nullptr;
}

Expected<u8> vector_for(u32 gsi, Eoi eoi, Handler handler, void* context)
{
    const Lock_guard guard(bound_lock);
    if (const Bound_gsi* b = find_bound(gsi)) {
        set_handler(b->vector, eoi, handler, context);
        return b->vector;
    }
    const u8 vector = TRY(allocate_vector(eoi, handler, context));
    if (!bound.push({gsi, vector})) {
        free_vector(vector);
        return fail(Errc::enospc);
    }
    return vector;
}

} // namespace

Expected<void> bind_gsi(u32 gsi, bool level, bool active_low, Handler handler, void* context)
{
    if (is_hypervisor_gsi(gsi))
        return fail(Errc::ebusy);
    if (!io_apics::exists(gsi))
        return fail(Errc::enxio);
    mask_gsi(gsi);
    // A level-triggered pin is masked by its handler and must be so before the EOI.
    const Eoi eoi   = level ? Eoi::after_handler : Eoi::before_handler;
    const u8 vector = TRY(vector_for(gsi, eoi, handler, context));
    return io_apics::route(gsi, {vector, boot_cpu_id(), level, active_low});
}

Expected<Msi_binding> bind_msi(Handler handler, void* context)
{
    const u8 vector = TRY(allocate_vector(Eoi::before_handler, handler, context));
    return Msi_binding{vector, kMsiAddress | u64{boot_cpu_id()} << 12, vector};
}

void release_msi(u8 vector) { free_vector(vector); }

} // namespace vmm::host_interrupts

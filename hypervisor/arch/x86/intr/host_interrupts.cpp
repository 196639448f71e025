// SPDX-License-Identifier: Apache-2.0
//
// What emul/host_interrupts.hpp asks for of vectors (the IO-APIC driver has the rest).
#include "emul/host_interrupts.hpp"

#include "arch/x86/intr/interrupts.hpp"
#include "arch/x86/intr/io_apic_driver.hpp"
#include "arch/x86/intr/local_apic_driver.hpp"
#include "arch/x86/intr/vectors.hpp"
#include "base/spinlock.hpp"
#include "platform/cpus.hpp"
#include "platform/fixed_list.hpp"

#include <algorithm>

namespace vmm::host_interrupts
{
namespace
{

constexpr u64 kMsiAddress = 0xfee00000; // [SDM3 11.11.1]
constexpr u32 kBootCpu    = 0;

struct Bound_gsi {
    u32 gsi;
    Host_vector at;
};
constinit Fixed_list<Bound_gsi, 256> bound;
// Several emulated IO-APICs bind, each with its own lock.
constinit Spinlock bound_lock{Lock_rank::bound_interrupts};

Expected<Host_vector> vector_for(u32 gsi, Eoi eoi, Handler handler, void* context)
{
    const Lock_guard guard(bound_lock);
    if (const auto* b = std::ranges::find(bound, gsi, &Bound_gsi::gsi); b != bound.end()) {
        change_handler(b->at, eoi, handler, context);
        return b->at;
    }
    const Host_vector at = TRY(allocate_vector(kBootCpu, eoi, handler, context));
    if (!bound.push({gsi, at})) {
        free_vector(at);
        return fail(Errc::enospc);
    }
    return at;
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
    const Eoi eoi        = level ? Eoi::after_handler : Eoi::before_handler;
    const Host_vector at = TRY(vector_for(gsi, eoi, handler, context));
    return io_apics::route(gsi, {at.vector, known_cpus.list[at.cpu].apic_id, level, active_low});
}

Expected<Msi_binding> bind_msi(u32 cpu, Handler handler, void* context)
{
    const Host_vector at = TRY(allocate_vector(cpu, Eoi::before_handler, handler, context));
    return Msi_binding{at.cpu, at.vector, kMsiAddress | u64{known_cpus.list[at.cpu].apic_id} << 12};
}

void release_msi(const Msi_binding& binding) { free_vector({binding.cpu, static_cast<u8>(binding.data)}); }

} // namespace vmm::host_interrupts

// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/io_apic_driver.hpp"

#include "base/bits.hpp"
#include "debug/log.hpp"
#include "emul/host_interrupts.hpp"
#include "mm/direct_map.hpp"

#include <algorithm>

namespace vmm::io_apics
{
namespace
{

constexpr u8 kVersion    = 0x01;
constexpr u8 kFirstEntry = 0x10;

constexpr u32 kActiveLow = 1u << 13;
constexpr u32 kLevel     = 1u << 15;
constexpr u32 kMasked    = 1u << 16;

struct Io_apic {
    host_interrupts::Io_apic_info what{};
    volatile u32* window = nullptr; // index register; data register 16 bytes further

    u32 read(u8 index) const
    {
        window[0] = index;
        return window[4];
    }
    void write(u8 index, u32 value) const
    {
        window[0] = index;
        window[4] = value;
    }
    u8 low_word(u32 pin) const { return static_cast<u8>(kFirstEntry + 2 * pin); }
};

constinit Fixed_list<Io_apic, 16> list;

const Io_apic* owner_of(u32 gsi)
{
    for (const Io_apic& a : list) {
        if (gsi >= a.what.first_gsi && gsi - a.what.first_gsi < a.what.pins)
            return &a;
    }
    return nullptr;
}

void change_low_word(u32 gsi, u32 clear, u32 set)
{
    if (const Io_apic* a = owner_of(gsi)) {
        const u8 index = a->low_word(gsi - a->what.first_gsi);
        a->write(index, (a->read(index) & ~clear) | set);
    }
}

} // namespace

Expected<void> init(const Madt_info& madt)
{
    for (const Io_apic_entry& entry : madt.io_apics) {
        Io_apic a{{entry.address.value(), entry.gsi_base, 0, entry.id},
                  to_virtual<volatile u32>(entry.address)};
        const u32 version = a.read(kVersion);
        if (version == ~0u) {
            log::warning("no IO-APIC answers at {x}, where ACPI says there is one; ignored", entry.address);
            continue;
        }
        a.what.pins = std::min(static_cast<u32>(field(version, 23, 16)) + 1, host_interrupts::kMaxPins);
        for (u32 pin = 0; pin < a.what.pins; ++pin)
            a.write(a.low_word(pin), kMasked);
        log::info("IO-APIC {} at {x}: GSIs {} to {}", a.what.id, a.what.address, a.what.first_gsi,
                  a.what.first_gsi + a.what.pins - 1);
        list.push(a);
    }
    if (list.empty())
        return fail(Errc::enxio);
    return {};
}

bool exists(u32 gsi) { return owner_of(gsi) != nullptr; }

Expected<void> route(u32 gsi, const Route& to)
{
    const Io_apic* a = owner_of(gsi);
    if (!a)
        return fail(Errc::enxio);
    const u8 index = a->low_word(gsi - a->what.first_gsi);
    a->write(index, kMasked);
    a->write(static_cast<u8>(index + 1), to.apic_id << 24);
    a->write(index, kMasked | to.vector | (to.level ? kLevel : 0) | (to.active_low ? kActiveLow : 0));
    return {};
}

Isa_wiring isa_wiring(const Madt_info& madt, u8 isa_interrupt)
{
    for (const Interrupt_override& o : madt.overrides) {
        if (o.source == isa_interrupt)
            return {o.gsi, o.is_level_triggered(), o.is_active_low()};
    }
    return {isa_interrupt, false, false};
}

} // namespace vmm::io_apics

namespace vmm::host_interrupts
{

void mask_gsi(u32 gsi) { io_apics::change_low_word(gsi, 0, io_apics::kMasked); }
void unmask_gsi(u32 gsi) { io_apics::change_low_word(gsi, io_apics::kMasked, 0); }

const Io_apic_info* io_apic(unsigned index)
{
    return index < io_apics::list.size() ? &io_apics::list[index].what : nullptr;
}

} // namespace vmm::host_interrupts

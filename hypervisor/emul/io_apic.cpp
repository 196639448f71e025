// SPDX-License-Identifier: Apache-2.0
#include "emul/io_apic.hpp"

#include "base/bits.hpp"
#include "debug/log.hpp"
#include "emul/apic_bus.hpp"

namespace vmm
{
namespace
{

// In the page: the index of a register, its value, and the vector to end.
constexpr u64 kSelect = 0x00, kWindow = 0x10, kEndOfInterrupt = 0x40;

constexpr u8 kIdRegister = 0, kVersionRegister = 1, kArbitrationRegister = 2, kFirstEntry = 0x10;
constexpr u32 kVersion = 0x20;

constexpr u64 kLogical        = bit(11);
constexpr u64 kDeliveryStatus = bit(12);
constexpr u64 kActiveLow      = bit(13);
constexpr u64 kRemoteIrr      = bit(14);
constexpr u64 kLevel          = bit(15);
constexpr u64 kMasked         = bit(16);
constexpr u64 kReadOnly       = kDeliveryStatus | kRemoteIrr;
constexpr u64 kWritable       = 0xff00'0000'0001'ffff & ~kReadOnly;
constexpr u64 kWiring         = kLevel | kActiveLow;

Interrupt_message message_of(u64 entry)
{
    return make_message(wide_destination(static_cast<u8>(entry >> 56)), entry & kLogical, entry,
                        entry & kLevel);
}

} // namespace

Io_apic::Io_apic(Domain& domain, const host_interrupts::Io_apic_info& info)
    : domain_(domain), info_(info), id_(info.id)
{
    for (Pin& pin : pins_) {
        pin.owner = this;
        pin.entry = kMasked;
    }
}

u32 Io_apic::gsi_of(const Pin& pin) const { return info_.first_gsi + static_cast<u32>(&pin - pins_.data()); }

u64 Io_apic::read(Gpa gpa, u8)
{
    const Lock_guard guard(lock_);
    switch (page_offset(gpa)) {
    case kSelect: return selected_;
    case kWindow: return read_register();
    default: return 0xffffffff;
    }
}

void Io_apic::write(Gpa gpa, u8, u64 value)
{
    const u64 offset = page_offset(gpa);
    if (offset == kEndOfInterrupt)
        return end_of_interrupt(static_cast<u8>(value));
    const Lock_guard guard(lock_);
    if (offset == kSelect)
        selected_ = static_cast<u8>(value);
    else if (offset == kWindow)
        write_register(static_cast<u32>(value));
}

u32 Io_apic::read_register() const
{
    const unsigned half = selected_ - kFirstEntry;
    if (selected_ >= kFirstEntry && half / 2 < info_.pins)
        return static_cast<u32>(pins_[clip_index(half / 2, info_.pins)].entry >> (half % 2 * 32));
    if (selected_ == kIdRegister || selected_ == kArbitrationRegister)
        return static_cast<u32>(id_) << 24;
    if (selected_ == kVersionRegister)
        return (info_.pins - 1) << 16 | kVersion;
    return 0;
}

void Io_apic::write_register(u32 value)
{
    const unsigned half = selected_ - kFirstEntry;
    if (selected_ == kIdRegister) {
        id_ = value >> 24 & 0x0f;
        return;
    }
    if (selected_ < kFirstEntry || half / 2 >= info_.pins)
        return;
    Pin& pin             = pins_[clip_index(half / 2, info_.pins)];
    const unsigned shift = half % 2 * 32;
    write_entry(pin, (pin.entry & ~(0xffffffffull << shift)) | static_cast<u64>(value) << shift);
}

void Io_apic::write_entry(Pin& pin, u64 entry)
{
    pin.entry = (entry & kWritable) | (pin.entry & kReadOnly);
    // Software of times before the EOI register ends an interrupt by making the entry edge-triggered.
    if (!(pin.entry & kLevel))
        pin.entry &= ~kRemoteIrr;
    set_line(pin);
}

// Opens the host line when the guest wants interrupts and none is in service, and closes it otherwise.
void Io_apic::set_line(Pin& pin)
{
    const bool wanted = !(pin.entry & (kMasked | kRemoteIrr));
    if (wanted && !bind(pin))
        return;
    if (wanted == pin.open)
        return;
    pin.open = wanted;
    if (wanted)
        host_interrupts::unmask_gsi(gsi_of(pin));
    else
        host_interrupts::mask_gsi(gsi_of(pin));
}

bool Io_apic::bind(Pin& pin)
{
    const u32 wiring = static_cast<u32>(pin.entry & kWiring);
    if (pin.bound_as == wiring)
        return true;
    const u32 gsi   = gsi_of(pin);
    const auto done = host_interrupts::bind_gsi(gsi, wiring & kLevel, wiring & kActiveLow, pin_raised, &pin);
    if (!done) {
        log::guest(log::Level::warning, "interrupt pin {} cannot be given to dom0 (error {})", gsi,
                   done.error());
        return false;
    }
    pin.bound_as = wiring;
    pin.open     = false;
    return true;
}

void Io_apic::pin_raised(void* context)
{
    Pin& pin = *static_cast<Pin*>(context);
    pin.owner->raise(pin);
}

void Io_apic::raise(Pin& pin)
{
    u64 entry = 0;
    {
        const Lock_guard guard(lock_);
        // What was on its way when the guest masked the entry: an edge would be lost, so it still arrives; a
        // level is still there when the guest unmasks.
        if (pin.entry & kLevel) {
            if (pin.entry & kMasked)
                return;
            pin.entry |= kRemoteIrr;
            set_line(pin);
        }
        entry = pin.entry;
    }
    deliver(domain_, message_of(entry));
}

void Io_apic::end_of_interrupt(u8 vector)
{
    const Lock_guard guard(lock_);
    for (unsigned i = 0; i < info_.pins; ++i) {
        Pin& pin = pins_[i];
        if (!(pin.entry & kRemoteIrr) || static_cast<u8>(pin.entry) != vector)
            continue;
        pin.entry &= ~kRemoteIrr;
        set_line(pin);
    }
}

} // namespace vmm

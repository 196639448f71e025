// SPDX-License-Identifier: Apache-2.0
#include "emul/pci/msix.hpp"

#include "base/bits.hpp"
#include "debug/log.hpp"
#include "emul/apic_bus.hpp"
#include "emul/host_access.hpp"
#include "emul/pci/pci_registers.hpp"

namespace vmm
{
namespace
{

using namespace pci;

constexpr u16 kControl = 2, kTable = 4; // places within the capability
constexpr u16 kControlWritable = kMsixEnable | kMsixFunctionMask;

// Words of a table entry.
constexpr u64 kAddressLow = 0, kAddressHigh = 4, kData = 8, kVectorControl = 12;

} // namespace

Msix::Msix(Pci_context& context, Pci_address function, u16 capability)
    : context_(context), function_(function), capability_(capability)
{
    const u32 where = context.config.read(function, static_cast<u16>(capability + kTable), 4);
    place_          = {.bar = static_cast<u8>(where & 7), .offset = where & ~7u};
    control_ = static_cast<u16>(context.config.read(function, static_cast<u16>(capability + kControl), 2));
    control_ &= static_cast<u16>(~kControlWritable);
    count_ = (control_ & kMsixTableSize) + 1u;
    write_device_control(control_);
}

Expected<Unique<Msix>> Msix::create(Pci_context& context, Pci_address function, u16 capability)
{
    auto msix      = TRY(make_unique<Msix>(context, function, capability));
    msix->entries_ = new (std::nothrow) Entry[msix->count_];
    if (!msix->entries_)
        return fail(Errc::enomem);
    for (u32 i = 0; i < msix->count_; ++i)
        msix->entries_[i].owner = msix.get();
    return msix;
}

Msix::~Msix() { delete[] entries_; }

void Msix::switch_off()
{
    if (enabled()) {
        control_ &= static_cast<u16>(~kMsixEnable);
        write_device_control(control_);
    }
    release_all();
}

bool Msix::enabled() const { return control_ & kMsixEnable; }
bool Msix::function_masked() const { return control_ & kMsixFunctionMask; }

void Msix::write_device_control(u16 control) const
{
    context_.config.write(function_, static_cast<u16>(capability_ + kControl), 2, control);
}

void Msix::write(u16 offset, u8 value)
{
    const unsigned shift = offset & 1 ? 8 : 0;
    const u32 mask       = kControlWritable & 0xffu << shift;
    control_             = static_cast<u16>((control_ & ~mask) | (static_cast<u32>(value) << shift & mask));
}

// Programs the device each time, not only on a change: it may have been reset since.
void Msix::apply()
{
    if (!enabled()) {
        write_device_control(control_);
        return release_all();
    }
    for (u32 i = 0; i < count_; ++i) {
        Entry& entry = entries_[i];
        if (!entry.masked && bind(entry))
            program_device(entry);
    }
    write_device_control(control_);
    for (u32 i = 0; i < count_; ++i)
        raise_pending(entries_[i]);
}

void Msix::release_all()
{
    for (u32 i = 0; i < count_; ++i) {
        Entry& entry = entries_[i];
        if (entry.bound)
            host_interrupts::release_msi(entry.host);
        entry.bound = entry.pending = false;
    }
}

u64 Msix::read_page(Gpa gpa, u8 size) const
{
    if (!in_table(gpa))
        return host_access::read_memory(Hpa(gpa.value()), size);
    const u64 offset = gpa.value() - table_;
    const u64 low    = read_word(align_down(offset, 4)) >> (offset & 3) * 8;
    return size == 8 ? low | static_cast<u64>(read_word(offset + 4)) << 32 : low;
}

// Software writes the table in whole aligned words or pairs of them; anything else is ignored.
void Msix::write_page(Gpa gpa, u8 size, u64 value)
{
    if (!in_table(gpa))
        return host_access::write_memory(Hpa(gpa.value()), size, value);
    const u64 offset = gpa.value() - table_;
    if (size < 4 || !is_aligned(offset, size))
        return;
    write_word(offset, static_cast<u32>(value));
    if (size == 8)
        write_word(offset + 4, static_cast<u32>(value >> 32));
}

u32 Msix::read_word(u64 offset) const
{
    const u64 index = offset / kEntrySize;
    if (index >= count_)
        return 0xffffffff;
    const Entry& entry = entries_[index];
    switch (offset % kEntrySize) {
    case kAddressLow: return static_cast<u32>(entry.address);
    case kAddressHigh: return static_cast<u32>(entry.address >> 32);
    case kData: return entry.data;
    default: return entry.masked ? kMsixEntryMask : 0;
    }
}

void Msix::write_word(u64 offset, u32 value)
{
    Entry& entry = entries_[offset / kEntrySize];
    switch (offset % kEntrySize) {
    case kAddressLow: entry.address = (entry.address & ~0xffffffffull) | (value & ~3u); return;
    case kAddressHigh: entry.address = (entry.address & 0xffffffff) | static_cast<u64>(value) << 32; return;
    case kData: entry.data = value; return;
    case kVectorControl: return set_masked(entry, value & kMsixEntryMask);
    default: return;
    }
}

void Msix::set_masked(Entry& entry, bool masked)
{
    entry.masked = masked;
    if (!masked && !bind(entry))
        return;
    program_device(entry);
    raise_pending(entry);
}

bool Msix::bind(Entry& entry)
{
    if (entry.bound)
        return true;
    const u32 cpu   = cpu_of_destination(context_.domain, message_of_msi(entry.address, entry.data));
    const auto host = host_interrupts::bind_msi(cpu, raised, &entry);
    if (!host) {
        log::guest(log::Level::warning, "no host vector for an MSI-X of {x}:{x} (error {})", function_.bus,
                   function_.devfn, host.error());
        return false;
    }
    entry.bound = true;
    entry.host  = *host;
    return true;
}

// The mask is set first and cleared last, so that the device never sends half an entry.
void Msix::program_device(const Entry& entry) const
{
    if (!table_)
        return;
    const Hpa at(table_ + static_cast<u64>(&entry - entries_) * kEntrySize);
    if (entry.masked || !entry.bound)
        return host_access::write_memory(at + kVectorControl, 4, kMsixEntryMask);
    host_access::write_memory(at + kVectorControl, 4, kMsixEntryMask);
    host_access::write_memory(at + kAddressLow, 4, static_cast<u32>(entry.host.address));
    host_access::write_memory(at + kAddressHigh, 4, entry.host.address >> 32);
    host_access::write_memory(at + kData, 4, entry.host.data);
    host_access::write_memory(at + kVectorControl, 4, 0);
}

void Msix::raised(void* context)
{
    Entry& entry = *static_cast<Entry*>(context);
    entry.owner->raise(entry);
}

void Msix::raise(Entry& entry)
{
    const Lock_guard guard(context_.lock);
    entry.pending = entry.bound;
    raise_pending(entry);
}

// Sends what arrived, unless the guest masked it in the meantime: then it stays pending.
void Msix::raise_pending(Entry& entry)
{
    if (!entry.pending || entry.masked || !enabled() || function_masked())
        return;
    entry.pending = false;
    if (const auto message = message_of_msi(entry.address, entry.data))
        deliver(context_.domain, *message);
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "emul/machine.hpp"

#include "debug/log.hpp"

#include <catch2/catch.hpp>

namespace vmm
{
namespace fakes
{

Machine* machine = nullptr;

Machine::Machine() { machine = this; }
Machine::~Machine() { machine = nullptr; }

void Function_registers::set(u16 at, u8 size, u64 value)
{
    for (unsigned i = 0; i < size; ++i)
        bytes[at + i] = static_cast<u8>(value >> 8 * i);
}

void Function_registers::allow(u16 at, u8 size, u64 mask)
{
    for (unsigned i = 0; i < size; ++i)
        writable[at + i] = static_cast<u8>(mask >> 8 * i);
}

u32 Function_registers::get(u16 at, u8 size) const
{
    u32 value = 0;
    for (unsigned i = 0; i < size; ++i)
        value |= static_cast<u32>(bytes[at + i]) << 8 * i;
    return value;
}

Function_registers Function_registers::endpoint(u16 vendor, u16 device)
{
    Function_registers f;
    f.set(0, 2, vendor);
    f.set(2, 2, device);
    f.allow(4, 2, 0x0547);
    f.set(6, 2, 0x10);
    f.allow(0x3c, 1, 0xff);
    return f;
}

void Function_registers::add_bar(unsigned number, u64 address, u64 size, bool wide)
{
    const u16 at = static_cast<u16>(0x10 + 4 * number);
    set(at, wide ? 8 : 4, address | (wide ? 4 : 0));
    allow(at, wide ? 8 : 4, ~(size - 1));
}

void Function_registers::add_msi(u8 at, bool wide, bool maskable)
{
    set(at, 1, 5);
    set(at + 1u, 1, bytes[0x34]);
    bytes[0x34] = at;
    set(at + 2u, 2, 3u << 1 | (wide ? 0x80u : 0) | (maskable ? 0x100u : 0)); // capable of eight messages
    allow(at + 2u, 2, 0x71);
    allow(at + 4u, 4, 0xfffffffc);
    allow(at + (wide ? 8u : 4u), wide ? 4 : 4, wide ? 0xffffffff : 0xfffffffc);
    allow(at + (wide ? 12u : 8u), 2, 0xffff);
    if (maskable)
        allow(at + (wide ? 16u : 12u), 4, 0xff);
}

void Function_registers::add_msix(u8 at, unsigned vectors, u8 bar, u32 table, u32 pending)
{
    set(at, 1, 0x11);
    set(at + 1u, 1, bytes[0x34]);
    bytes[0x34] = at;
    set(at + 2u, 2, vectors - 1);
    allow(at + 2u, 2, 0xc000);
    set(at + 4u, 4, table | bar);
    set(at + 8u, 4, pending | bar);
}

bool Machine::raise(u32 gsi)
{
    Bound_pin& pin = pins[gsi];
    if (!pin.open)
        return false;
    pin.handler(pin.context);
    return true;
}

bool Machine::send(u32 data)
{
    const auto bound = messages.find(static_cast<u8>(data));
    if (bound == messages.end())
        return false;
    bound->second.handler(bound->second.context);
    return true;
}

u32 Machine::word(u64 address)
{
    u32 value = 0;
    for (unsigned i = 0; i < 4; ++i)
        value |= static_cast<u32>(memory[address + i]) << 8 * i;
    return value;
}

std::vector<Interrupt_message> Machine::take() { return std::exchange(delivered, {}); }

namespace
{

u32 config_read(Pci_address at, u16 offset, u8 size)
{
    const auto f = machine->functions.find(at);
    return f == machine->functions.end() ? ~0u >> (32 - 8 * size) : f->second.get(offset, size);
}

void config_write(Pci_address at, u16 offset, u8 size, u32 value)
{
    const auto f = machine->functions.find(at);
    for (unsigned i = 0; f != machine->functions.end() && i < size; ++i) {
        u8& byte      = f->second.bytes[offset + i];
        const u8 mask = f->second.writable[offset + i];
        byte          = static_cast<u8>((byte & ~mask) | (value >> 8 * i & mask));
    }
}

Pci_address selected_function()
{
    return {0, static_cast<u8>(machine->selected >> 16), static_cast<u8>(machine->selected >> 8)};
}

const Pci_ecam* window_of(u64 address)
{
    for (const Pci_ecam& window : machine->ecam) {
        if (window.contains(Gpa(address)))
            return &window;
    }
    return nullptr;
}

Pci_address function_in(const Pci_ecam& window, u64 offset)
{
    return {window.segment, static_cast<u8>(offset >> 20), static_cast<u8>(offset >> 12)};
}

} // namespace
} // namespace fakes

using fakes::machine;

namespace host_access
{

u32 in(u16 port, u8 size)
{
    if (port >= 0xcfc && port <= 0xcff) {
        REQUIRE((port & 3u) + size <= 4);
        return fakes::config_read(fakes::selected_function(),
                                  static_cast<u16>((machine->selected & 0xfc) + (port & 3u)), size);
    }
    return machine->ports[port];
}

void out(u16 port, u8 size, u32 value)
{
    if (port == 0xcf8 && size == 4)
        machine->selected = value;
    else if (port >= 0xcfc && port <= 0xcff)
        fakes::config_write(fakes::selected_function(),
                            static_cast<u16>((machine->selected & 0xfc) + (port & 3u)), size, value);
    else
        machine->ports[port] = static_cast<u8>(value);
}

u64 read_memory(Hpa address, u8 size)
{
    if (const Pci_ecam* window = fakes::window_of(address.value())) {
        const u64 offset = address.value() - window->address;
        return fakes::config_read(fakes::function_in(*window, offset), offset & 0xfff, size);
    }
    u64 value = 0;
    for (unsigned i = 0; i < size; ++i)
        value |= static_cast<u64>(machine->memory[address.value() + i]) << 8 * i;
    return value;
}

void write_memory(Hpa address, u8 size, u64 value)
{
    if (const Pci_ecam* window = fakes::window_of(address.value())) {
        const u64 offset = address.value() - window->address;
        return fakes::config_write(fakes::function_in(*window, offset), offset & 0xfff, size,
                                   static_cast<u32>(value));
    }
    for (unsigned i = 0; i < size; ++i)
        machine->memory[address.value() + i] = static_cast<u8>(value >> 8 * i);
}

Expected<void> trap(Domain&, Gfn first, u64 count)
{
    for (u64 i = 0; i < count; ++i) {
        if (machine->ram.contains(first.value() + i))
            return fail(Errc::ebusy);
    }
    for (u64 i = 0; i < count; ++i)
        REQUIRE(machine->trapped.insert(first.value() + i).second);
    return {};
}

Expected<void> give(Domain&, Gfn first, u64 count)
{
    for (u64 i = 0; i < count; ++i) {
        if (machine->ram.contains(first.value() + i))
            return fail(Errc::ebusy);
    }
    for (u64 i = 0; i < count; ++i)
        machine->trapped.erase(first.value() + i);
    return {};
}

} // namespace host_access

namespace host_interrupts
{

Expected<void> bind_gsi(u32 gsi, bool level, bool active_low, Handler handler, void* context)
{
    if (gsi == 4)
        return fail(Errc::ebusy);
    machine->pins[gsi] = {level, active_low, false, machine->pins[gsi].binds + 1, handler, context};
    return {};
}
void mask_gsi(u32 gsi)
{
    REQUIRE(machine->pins[gsi].open);
    machine->pins[gsi].open = false;
}
void unmask_gsi(u32 gsi)
{
    REQUIRE_FALSE(machine->pins[gsi].open);
    machine->pins[gsi].open = true;
}

Expected<Msi_binding> bind_msi(u32 cpu, Handler handler, void* context)
{
    if (machine->vectors_left == 0)
        return fail(Errc::enospc);
    --machine->vectors_left;
    const u8 vector           = machine->next_vector++;
    machine->messages[vector] = {handler, context, cpu};
    return Msi_binding{cpu, vector, 0xfee07000};
}
void release_msi(const Msi_binding& binding)
{
    REQUIRE(machine->messages.erase(static_cast<u8>(binding.data)) == 1);
    ++machine->vectors_left;
}

void wait_for_handlers()
{
    if (machine->on_wait)
        machine->on_wait();
}

const Io_apic_info* io_apic(unsigned index)
{
    return index < machine->io_apics.size() ? &machine->io_apics[index] : nullptr;
}

} // namespace host_interrupts

void deliver(Domain& domain, const Interrupt_message& message)
{
    REQUIRE(&domain == &machine->domain);
    machine->delivered.push_back(message);
}

// The vCPU with APIC id n is on CPU 10 + n.
u32 cpu_of_destination(Domain&, const std::optional<Interrupt_message>& message)
{
    return message ? 10 + message->destination : 0;
}

namespace log
{
void write(Level, std::string_view, std::span<const Format_arg>) { ++machine->log_lines; }
void write_guest(Level, std::string_view, std::span<const Format_arg>) { ++machine->log_lines; }
} // namespace log

} // namespace vmm

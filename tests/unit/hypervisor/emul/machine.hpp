// SPDX-License-Identifier: Apache-2.0
//
// A machine under the emulated devices: PCI functions with register files whose write masks are those of
// real ones, device memory, an interrupt controller that remembers, and a list of the interrupt messages
// that reached the guest. One per test.
#pragma once

#include "emul/apic_bus.hpp"
#include "emul/host_access.hpp"
#include "emul/host_interrupts.hpp"
#include "platform/pci_address.hpp"

#include <array>
#include <functional>
#include <map>
#include <set>
#include <vector>

namespace vmm
{

class Domain
{
};

namespace fakes
{

// Configuration space of one function: bytes and which of their bits software can write.
struct Function_registers {
    std::array<u8, 4096> bytes{};
    std::array<u8, 4096> writable{};

    void set(u16 at, u8 size, u64 value);
    void allow(u16 at, u8 size, u64 mask);
    [[nodiscard]] u32 get(u16 at, u8 size) const;

    // A function with ids, a memory BAR of `size` bytes and the list of capabilities still empty.
    static Function_registers endpoint(u16 vendor, u16 device);
    void add_bar(unsigned number, u64 address, u64 size, bool wide);
    // Capabilities as devices have them; each goes to the head of the list.
    void add_msi(u8 at, bool wide, bool maskable);
    void add_msix(u8 at, unsigned vectors, u8 bar, u32 table, u32 pending);
};

struct Bound_pin {
    bool level = false, active_low = false;
    bool open                        = false;
    unsigned binds                   = 0;
    host_interrupts::Handler handler = nullptr;
    void* context                    = nullptr;
};

struct Bound_message {
    host_interrupts::Handler handler;
    void* context;
    u32 cpu;
};

class Machine
{
  public:
    Machine();
    ~Machine();

    Domain domain;
    std::vector<host_interrupts::Io_apic_info> io_apics;
    std::map<Pci_address, Function_registers> functions;
    std::map<u64, u8> memory; // device memory, by byte
    std::map<u16, u8> ports;  // of everything but PCI configuration
    std::set<u64> ram;        // frames that are not devices
    std::set<u64> trapped;    // frames
    std::map<u32, Bound_pin> pins;
    std::map<u8, Bound_message> messages;
    std::function<void()> on_wait; // what CPUs do that somebody waits for to leave their handlers
    unsigned vectors_left = 200;
    std::vector<Interrupt_message> delivered;
    std::vector<Pci_ecam> ecam;
    unsigned log_lines = 0;

    // The device pulls a pin, or sends what its registers or its table say; false when nobody listens.
    bool raise(u32 gsi);
    bool send(u32 data);
    [[nodiscard]] u32 word(u64 address);
    // What was delivered since the last time.
    std::vector<Interrupt_message> take();

    u32 selected   = 0;
    u8 next_vector = 0x50;
};

extern Machine* machine;

} // namespace fakes
} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "guest/processors.hpp"

#include "guest/apic.hpp"
#include "guest/clock.hpp"
#include "guest/interrupts.hpp"

extern "C" {
extern const vmm::guest::u8 processor_start[], processor_start_end[];
vmm::guest::u64 processor_stack = 0; // of the one that starts
}

namespace vmm::guest
{

namespace
{

constexpr u64 kStartPage = 8; // its number
constexpr u64 kInit      = 5u << 8 | 1u << 14;
constexpr u64 kStartup   = 6u << 8 | 1u << 14;
constexpr u64 kPatience  = 5'000'000'000;

struct alignas(16) Stack {
    u8 bytes[16384];
};
Stack stacks[kMaxProcessors];

void (*volatile next_body)() = nullptr;
volatile bool taken          = false;

} // namespace

u32 this_processor() { return static_cast<u32>(rdmsr(apic::id)) / 2; }

void send_init(u32 vcpu) { wrmsr(apic::icr, u64{apic_id_of(vcpu)} << 32 | kInit); }
void send_startup(u32 vcpu) { wrmsr(apic::icr, u64{apic_id_of(vcpu)} << 32 | kStartup | kStartPage); }

bool start_processor(u32 vcpu, void (*body)())
{
    __builtin_memcpy(at_gpa<u8>(kStartPage << 12), processor_start,
                     static_cast<u64>(processor_start_end - processor_start));
    processor_stack = reinterpret_cast<u64>(&stacks[vcpu] + 1);
    next_body       = body;
    taken           = false;
    send_init(vcpu);
    send_startup(vcpu);
    const u64 deadline = system_time() + kPatience;
    while (!taken && system_time() < deadline)
        pause();
    return taken;
}

extern "C" void processor_runs()
{
    load_idt();
    apic::start();
    void (*const body)() = next_body;
    taken                = true;
    body();
}

} // namespace vmm::guest

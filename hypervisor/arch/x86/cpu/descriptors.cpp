// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/cpu/descriptors.hpp"

#include "arch/x86/cpu/msr.hpp"
#include "base/bits.hpp"
#include "base/per_cpu.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"

#include <array>
#include <new>

// Code of the 256 stubs in vectors.S, all of one size.
extern "C" const char vector_stubs[];

namespace vmm
{
namespace
{

constexpr unsigned kStubSize      = 16;
constexpr unsigned kVectors       = 256;
constexpr std::size_t kStackWords = 8192 / sizeof(u64);

// Which of the TSS's interrupt stacks a vector uses; 0: none.
enum Interrupt_stack : u8 { none = 0, double_fault = 1, nmi = 2, machine_check = 3 };

struct [[gnu::packed]] Task_state {
    u32 reserved_0;
    u64 rsp[3];
    u64 reserved_1;
    u64 ist[7]; // IST1 to IST7
    u64 reserved_2;
    u16 reserved_3;
    u16 io_map_base;
};
static_assert(sizeof(Task_state) == 104);

struct Gate {
    u64 low, high;
};

struct [[gnu::packed]] Table_pointer {
    u16 limit;
    const void* base;
};

alignas(16) constinit std::array<Gate, kVectors> idt{};

Gate interrupt_gate(const char* target, u8 stack)
{
    constexpr u64 present_interrupt_gate = 0x8e;
    const u64 address                    = reinterpret_cast<u64>(target);
    return {field(address, 15, 0) | u64{kHostCodeSelector} << 16 | u64{stack} << 32 |
                present_interrupt_gate << 40 | field(address, 31, 16) << 48,
            address >> 32};
}

u8 stack_of(unsigned vector)
{
    switch (vector) {
    case 2: return nmi;
    case 8: return double_fault;
    case 18: return machine_check;
    default: return none;
    }
}

} // namespace

struct Descriptor_tables {
    alignas(16) std::array<std::array<u64, kStackWords>, 3> stacks{};
    alignas(64) u64 line = 0; // what GS points at
    alignas(16) Task_state task{};
    // Null, 64-bit code, data, and the two halves of the TSS descriptor.
    alignas(16) std::array<u64, 5> gdt{0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0};
};

namespace
{

constexpr unsigned kTablesOrder = 3;
static_assert(sizeof(Descriptor_tables) <= kPageSize << kTablesOrder);

constinit Descriptor_tables boot_tables;

void fill_in(Descriptor_tables& tables)
{
    constexpr u64 present_available_tss = 0x89;
    Task_state& task                    = tables.task;
    for (unsigned i = 0; i < tables.stacks.size(); ++i)
        task.ist[i] = reinterpret_cast<u64>(tables.stacks[i].data() + kStackWords);
    task.io_map_base = sizeof task;
    const u64 base   = reinterpret_cast<u64>(&task);
    tables.gdt[3]    = (sizeof task - 1) | field(base, 23, 0) << 16 | present_available_tss << 40 |
                    field(base, 31, 24) << 56;
    tables.gdt[4] = base >> 32;
}

} // namespace

void load_boot_descriptor_tables()
{
    fill_in(boot_tables);
    for (unsigned v = 0; v < kVectors; ++v)
        idt[v] = interrupt_gate(vector_stubs + v * kStubSize, stack_of(v));
    load_descriptor_tables(boot_tables);
}

Expected<Descriptor_tables*> make_descriptor_tables(u32 cpu)
{
    auto* tables = new (to_virtual<std::byte>(TRY(frames.allocate(kTablesOrder)))) Descriptor_tables;
    tables->line = cpu * kCacheLine;
    fill_in(*tables);
    return tables;
}

void load_descriptor_tables(Descriptor_tables& tables)
{
    const Table_pointer gdt_pointer{sizeof tables.gdt - 1, tables.gdt.data()};
    const Table_pointer idt_pointer{sizeof idt - 1, idt.data()};
    asm volatile("lgdt %0\n\t"
                 "pushq %1\n\t"
                 "leaq 1f(%%rip), %%rax\n\t"
                 "pushq %%rax\n\t"
                 "lretq\n"
                 "1:\n\t"
                 "mov %2, %%ds\n\t"
                 "mov %2, %%es\n\t"
                 "mov %2, %%ss\n\t"
                 "lidt %3\n\t"
                 "ltr %w4" ::"m"(gdt_pointer),
                 "i"(u64{kHostCodeSelector}), "r"(u32{kHostDataSelector}), "m"(idt_pointer),
                 "r"(u32{kHostTaskSelector})
                 : "rax", "memory");
    write_msr(msr::kGsBase, reinterpret_cast<u64>(&tables.line));
}

} // namespace vmm

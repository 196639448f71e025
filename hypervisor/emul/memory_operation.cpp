// SPDX-License-Identifier: Apache-2.0
#include "base/bits.hpp"
#include "emul/memory_instruction.hpp"

namespace vmm
{
namespace
{

// Folded by hand: counting bits is a library call where the compiler does not optimise.
constexpr bool is_even_parity(u8 value)
{
    const unsigned folded = value ^ (value >> 4);
    return (0x9669u >> (folded & 15) & 1) != 0;
}
static_assert(is_even_parity(0) && !is_even_parity(0x80) && is_even_parity(0x81) && !is_even_parity(7));

using Operation = Memory_instruction::Operation;

constexpr u64 kCarry = bit(0), kParity = bit(2), kAuxiliary = bit(4), kZero = bit(6), kSign = bit(7),
              kOverflow   = bit(11);
constexpr u64 kArithmetic = kCarry | kParity | kAuxiliary | kZero | kSign | kOverflow;

u64 other_operand(const Memory_instruction& instruction, Guest_registers& regs)
{
    if (instruction.from_immediate)
        return instruction.immediate;
    const u64 value = general_register(regs, instruction.register_number);
    return instruction.high_byte ? value >> 8 : value;
}

// Narrow writes leave the rest of the register, those of 4 bytes clear the upper half.
void set_register(const Memory_instruction& instruction, Guest_registers& regs, u64 value)
{
    u64& target          = general_register(regs, instruction.register_number);
    const unsigned shift = instruction.high_byte ? 8 : 0;
    const u64 mask       = low_bits(8u * instruction.register_size) << shift;
    const u64 kept       = instruction.register_size >= 4 ? 0 : target & ~mask;
    target               = kept | (value << shift & mask);
}

u64 result_flags(u64 result, u8 size)
{
    u64 flags = 0;
    if ((result & low_bits(8u * size)) == 0)
        flags |= kZero;
    if (result >> (8u * size - 1) & 1)
        flags |= kSign;
    if (is_even_parity(static_cast<u8>(result)))
        flags |= kParity;
    return flags;
}

u64 compare_flags(u64 a, u64 b, u8 size)
{
    const u64 mask = low_bits(8u * size);
    a &= mask;
    b &= mask;
    const u64 result = a - b;
    u64 flags        = result_flags(result, size);
    if (a < b)
        flags |= kCarry;
    if ((a & 15) < (b & 15))
        flags |= kAuxiliary;
    if (((a ^ b) & (a ^ result)) >> (8u * size - 1) & 1)
        flags |= kOverflow;
    return flags;
}

u64 combine(Operation operation, u64 a, u64 b)
{
    switch (operation) {
    case Operation::or_: return a | b;
    case Operation::xor_: return a ^ b;
    default: return a & b;
    }
}

void move(const Memory_instruction& instruction, Gpa gpa, Guest_registers& regs, Mmio_device& device)
{
    const u8 size  = instruction.size;
    const u64 mask = low_bits(8u * size);
    if (instruction.to_memory)
        return device.write(gpa, size, other_operand(instruction, regs) & mask);
    const u64 value = device.read(gpa, size) & mask;
    set_register(instruction, regs, instruction.sign_extended ? sign_extend(value, 8u * size) : value);
}

} // namespace

void perform(const Memory_instruction& instruction, Gpa gpa, Guest_registers& regs, Mmio_device& device)
{
    if (instruction.operation == Operation::move)
        return move(instruction, gpa, regs, device);

    const u8 size       = instruction.size;
    const u64 in_memory = device.read(gpa, size);
    const u64 other     = other_operand(instruction, regs);
    const u64 first     = instruction.to_memory ? in_memory : other;
    const u64 second    = instruction.to_memory ? other : in_memory;

    u64 flags = 0;
    if (instruction.operation == Operation::compare) {
        flags = compare_flags(first, second, size);
    } else {
        const u64 result = combine(instruction.operation, first, second) & low_bits(8u * size);
        flags            = result_flags(result, size);
        if (instruction.operation != Operation::test) {
            if (instruction.to_memory)
                device.write(gpa, size, result);
            else
                set_register(instruction, regs, result);
        }
    }
    regs.rflags = (regs.rflags & ~kArithmetic) | flags;
}

} // namespace vmm

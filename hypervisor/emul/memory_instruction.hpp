// SPDX-License-Identifier: Apache-2.0
//
// The instructions with which software accesses device registers: the MOV family with one memory operand, and
// AND, OR, XOR, TEST, CMP on memory. Pure: bytes in, description out; no address is computed, because the
// nested fault already says which one. Anything else is no instruction here. Not a general decoder, and never
// one. [APM1 3.3; APM3 1, 3]
#pragma once

#include "domain/registers.hpp"
#include "emul/mmio.hpp"

#include <optional>
#include <span>

namespace vmm
{

inline constexpr unsigned kLongestInstruction = 15;

enum class Code_size : u8 { bits16, bits32, bits64 };

struct Memory_instruction {
    enum class Operation : u8 { move, and_, or_, xor_, test, compare };

    Operation operation = Operation::move;
    bool to_memory      = false; // the memory operand is the destination
    bool from_immediate = false; // the other operand is `immediate`, not a register
    bool high_byte      = false; // AH, CH, DH, BH: bits 15:8 of register_number
    bool sign_extended  = false; // what is loaded fills a wider register, by its sign or by zeroes
    u8 register_number  = 0;
    u8 size             = 0; // of the memory operand, bytes
    u8 register_size    = 0; // of the register that is written, bytes
    u64 immediate       = 0; // sign-extended
    u8 length           = 0; // of the instruction
};

// `bytes`: what there is at RIP; more than the instruction needs is not looked at.
std::optional<Memory_instruction> decode_memory_instruction(std::span<const u8> bytes, Code_size code);

// Carries it out on a device and the guest's registers and flags; RIP is the caller's.
void perform(const Memory_instruction& instruction, Gpa gpa, Guest_registers& regs, Mmio_device& device);

} // namespace vmm

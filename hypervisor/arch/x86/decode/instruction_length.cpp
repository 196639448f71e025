// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/decode/instruction_length.hpp"

namespace vmm
{
namespace
{

struct Opcode {
    u8 length;
    u8 bytes[3];
};

// In the order of Intercepted_instruction. WBINVD shares its row with WBNOINVD, which differs by a prefix.
constexpr Opcode kOpcodes[] = {
    {2, {0x0f, 0xa2, 0x00}}, // cpuid
    {2, {0x0f, 0x32, 0x00}}, // rdmsr
    {2, {0x0f, 0x30, 0x00}}, // wrmsr
    {1, {0xf4, 0x00, 0x00}}, // hlt
    {3, {0x0f, 0x01, 0xd9}}, // vmmcall
    {3, {0x0f, 0x01, 0xd1}}, // xsetbv
    {2, {0x0f, 0x08, 0x00}}, // invd
    {2, {0x0f, 0x09, 0x00}}, // wbinvd
    {1, {0x90, 0x00, 0x00}}, // pause: f3 90
};

constexpr bool is_legacy_prefix(u8 byte)
{
    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65: // segment overrides
    case 0x66:
    case 0x67: // operand and address size
    case 0xf0:
    case 0xf2:
    case 0xf3: // lock, repne, rep
        return true;
    default: return false;
    }
}

} // namespace

std::optional<u8> instruction_length(std::span<const u8> bytes, Intercepted_instruction which, bool long_mode)
{
    const Opcode& opcode = kOpcodes[static_cast<unsigned>(which)];
    unsigned at          = 0;
    while (at < bytes.size() && is_legacy_prefix(bytes[at]))
        ++at;
    if (long_mode && at < bytes.size() && (bytes[at] & 0xf0) == 0x40)
        ++at;
    if (at + opcode.length > bytes.size() || at + opcode.length > kMaxInstructionLength)
        return std::nullopt;
    for (unsigned i = 0; i < opcode.length; ++i) {
        if (bytes[at + i] != opcode.bytes[i])
            return std::nullopt;
    }
    return static_cast<u8>(at + opcode.length);
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/decode/instruction_length.hpp"

#include <array>

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
    {2, {0x0f, 0xa2}},       // cpuid
    {2, {0x0f, 0x32}},       // rdmsr
    {2, {0x0f, 0x30}},       // wrmsr
    {1, {0xf4}},             // hlt
    {3, {0x0f, 0x01, 0xd9}}, // vmmcall
    {3, {0x0f, 0x01, 0xd1}}, // xsetbv
    {2, {0x0f, 0x08}},       // invd
    {2, {0x0f, 0x09}},       // wbinvd
};

// Segment overrides, operand and address size, LOCK, REPNE and REP.
constexpr auto kIsLegacyPrefix = [] {
    std::array<bool, 256> is{};
    for (const u8 byte : {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3})
        is[byte] = true;
    return is;
}();

} // namespace

std::optional<u8> instruction_length(std::span<const u8> bytes, Intercepted_instruction which, bool long_mode)
{
    const Opcode& opcode = kOpcodes[static_cast<unsigned>(which)];
    unsigned at          = 0;
    while (at < bytes.size() && kIsLegacyPrefix[bytes[at]])
        ++at;
    if (long_mode && at < bytes.size() && (bytes[at] & 0xf0) == 0x40)
        ++at;
    if (at + opcode.length > bytes.size() || at + opcode.length > kMaxInstructionLength)
        return std::nullopt;
    for (unsigned i = 0; i < opcode.length; ++i) { // so few that a call takes longer
        if (bytes[at + i] == opcode.bytes[i])
            continue;
        // QEMU's TCG takes INVD for WBINVD.
        if (which == Intercepted_instruction::wbinvd)
            return instruction_length(bytes, Intercepted_instruction::invd, long_mode);
        return std::nullopt;
    }
    return static_cast<u8>(at + opcode.length);
}

} // namespace vmm

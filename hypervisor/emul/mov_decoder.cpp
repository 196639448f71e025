// SPDX-License-Identifier: Apache-2.0
#include "base/bits.hpp"
#include "emul/memory_instruction.hpp"

#include <algorithm>
#include <array>

namespace vmm
{
namespace
{

using Operation = Memory_instruction::Operation;

// Reads forward, zeroes after the end, so that callers compare the position once, at the end.
class Byte_reader
{
  public:
    explicit Byte_reader(std::span<const u8> bytes) : bytes_(bytes) {}
    [[nodiscard]] u8 peek() const { return at_ < bytes_.size() ? bytes_[at_] : 0; }
    u8 next()
    {
        const u8 byte = peek();
        ++at_;
        return byte;
    }
    void skip(unsigned count) { at_ += count; }
    u64 next_signed(unsigned size)
    {
        u64 value = 0;
        for (unsigned i = 0; i < size; ++i)
            value |= static_cast<u64>(next()) << 8 * i;
        return sign_extend(value, 8 * size);
    }
    [[nodiscard]] unsigned position() const { return at_; }

  private:
    std::span<const u8> bytes_;
    unsigned at_ = 0;
};

// Which operation the reg field of ModRM selects where the other operand is an immediate.
using Group = std::array<std::optional<Operation>, 8>;
constexpr Group kMove{Operation::move};
constexpr Group kTest{Operation::test, Operation::test};
constexpr Group kArithmetic = [] {
    Group group{};
    group[1] = Operation::or_;
    group[4] = Operation::and_;
    group[6] = Operation::xor_;
    group[7] = Operation::compare;
    return group;
}();

class Decoder
{
  public:
    Decoder(std::span<const u8> bytes, Code_size code) : in_(bytes) { read_prefixes(code); }

    std::optional<Memory_instruction> decode(std::size_t most)
    {
        const u8 opcode  = in_.next();
        const bool known = opcode == 0x0f ? two_bytes(in_.next()) : one_byte(opcode);
        if (!known || in_.position() > most)
            return std::nullopt;
        result_.length = static_cast<u8>(in_.position());
        return result_;
    }

  private:
    // LOCK and REP are not read past: with them it is another instruction. Segments do not matter: the
    // address is known.
    void read_prefixes(Code_size code)
    {
        bool other_operand = false, other_address = false;
        for (;; in_.skip(1)) {
            const u8 byte         = in_.peek();
            const bool is_segment = (byte & 0xe7) == 0x26 || (byte & 0xfe) == 0x64;
            if (byte == 0x66)
                other_operand = true;
            else if (byte == 0x67)
                other_address = true;
            else if (!is_segment)
                break;
        }
        if (code == Code_size::bits64 && (in_.peek() & 0xf0) == 0x40)
            rex_ = in_.next();
        const bool narrow = code == Code_size::bits16;
        operand_          = rex_ & 8 ? 8 : narrow != other_operand ? 2 : 4;
        address_          = narrow != other_address ? 2 : 4;
        if (code == Code_size::bits64)
            address_ = other_address ? 4 : 8;
    }

    bool one_byte(u8 opcode)
    {
        const u8 size           = opcode & 1 ? operand_ : 1;
        const u8 immediate_size = std::min<u8>(size, 4);
        // The rows of four: r/m8 r8; r/m r; r8 r/m8; r r/m.
        const bool to_memory    = !(opcode & 2);
        switch (opcode & ~3u) {
        case 0x08: return with_register(Operation::or_, size, to_memory, size);
        case 0x20: return with_register(Operation::and_, size, to_memory, size);
        case 0x30: return with_register(Operation::xor_, size, to_memory, size);
        case 0x38: return with_register(Operation::compare, size, to_memory, size);
        case 0x88: return with_register(Operation::move, size, to_memory, size);
        case 0xa0: return with_accumulator(size, !to_memory);
        default: break;
        }
        switch (opcode & ~1u) {
        case 0x80: return with_immediate(kArithmetic, size, immediate_size);
        case 0x82: return opcode == 0x83 && with_immediate(kArithmetic, size, 1);
        case 0x84: return with_register(Operation::test, size, true, size);
        case 0xc6: return with_immediate(kMove, size, immediate_size);
        case 0xf6: return with_immediate(kTest, size, immediate_size);
        default: return false;
        }
    }

    bool two_bytes(u8 opcode)
    {
        if ((opcode & ~9u) == 0xb6) { // MOVZX and MOVSX, of a byte or a word
            result_.sign_extended = opcode & 8;
            return with_register(Operation::move, opcode & 1 ? 2 : 1, false, operand_);
        }
        return opcode == 0xc3 && operand_ != 2 && // MOVNTI
               with_register(Operation::move, operand_, true, operand_);
    }

    bool with_register(Operation operation, u8 size, bool to_memory, u8 register_size)
    {
        const auto reg = read_modrm();
        if (!reg)
            return false;
        result_.operation       = operation;
        result_.to_memory       = to_memory;
        result_.size            = size;
        result_.register_size   = register_size;
        // Without REX, byte registers 4 to 7 are the second bytes of the first four.
        result_.high_byte       = register_size == 1 && !rex_ && *reg >= 4;
        result_.register_number = static_cast<u8>(result_.high_byte ? *reg - 4 : *reg | (rex_ & 4) << 1);
        return true;
    }

    // MOV between AL, AX, EAX or RAX and an absolute address.
    bool with_accumulator(u8 size, bool to_memory)
    {
        in_.skip(address_);
        result_.to_memory = to_memory;
        result_.size = result_.register_size = size;
        return true;
    }

    bool with_immediate(const Group& group, u8 size, u8 immediate_size)
    {
        const auto reg = read_modrm();
        if (!reg || !group[*reg])
            return false;
        result_.operation      = *group[*reg];
        result_.to_memory      = true;
        result_.from_immediate = true;
        result_.size           = size;
        result_.immediate      = in_.next_signed(immediate_size);
        return true;
    }

    // ModRM, SIB and displacement. The reg field; nothing when the operand is a register.
    std::optional<u8> read_modrm()
    {
        const u8 modrm = in_.next();
        const u8 mod   = modrm >> 6;
        const u8 rm    = modrm & 7;
        if (mod == 3)
            return std::nullopt;
        const unsigned wide = address_ == 2 ? 2 : 4;
        const u8 base       = wide == 4 && rm == 4 ? in_.next() & 7 : rm;
        const u8 no_base    = wide == 4 ? 5 : 6;
        if (mod == 1)
            in_.skip(1);
        else if (mod == 2 || base == no_base)
            in_.skip(wide);
        return modrm >> 3 & 7;
    }

    Byte_reader in_;
    u8 rex_     = 0;
    u8 operand_ = 0;
    u8 address_ = 0;
    Memory_instruction result_;
};

} // namespace

std::optional<Memory_instruction> decode_memory_instruction(std::span<const u8> bytes, Code_size code)
{
    return Decoder(bytes, code).decode(std::min<std::size_t>(bytes.size(), kLongestInstruction));
}

} // namespace vmm

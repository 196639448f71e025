// SPDX-License-Identifier: Apache-2.0
#include "emul/mov_decoder.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

using Operation = Memory_instruction::Operation;
using Extension = Memory_instruction::Extension;

// Reads forward and remembers running out, so that callers check once, at the end.
class Byte_reader
{
  public:
    explicit Byte_reader(std::span<const u8> bytes)
        : bytes_(bytes.first(std::min<std::size_t>(bytes.size(), kLongestInstruction)))
    {
    }
    u8 next()
    {
        if (at_ == bytes_.size()) {
            short_ = true;
            return 0;
        }
        return bytes_[at_++];
    }
    [[nodiscard]] u8 peek() const { return at_ < bytes_.size() ? bytes_[at_] : 0; }
    void skip(unsigned count)
    {
        for (; count > 0; --count)
            next();
    }
    u64 next_signed(unsigned size)
    {
        u64 value = 0;
        for (unsigned i = 0; i < size; ++i)
            value |= static_cast<u64>(next()) << 8 * i;
        const unsigned unused = 64 - 8 * size;
        return static_cast<u64>(static_cast<s64>(value << unused) >> unused);
    }
    [[nodiscard]] bool ran_out() const { return short_; }
    [[nodiscard]] u8 position() const { return static_cast<u8>(at_); }

  private:
    std::span<const u8> bytes_;
    std::size_t at_ = 0;
    bool short_     = false;
};

struct Prefixes {
    bool operand_size = false;
    bool address_size = false;
    u8 rex            = 0;

    [[nodiscard]] bool w() const { return rex & 8; }
    [[nodiscard]] u8 r() const { return rex & 4 ? 8 : 0; }
};

// LOCK and REP are not read past: with them it is another instruction.
Prefixes read_prefixes(Byte_reader& in, Code_size code)
{
    Prefixes prefixes;
    for (;; in.next()) {
        switch (in.peek()) {
        case 0x66: prefixes.operand_size = true; continue;
        case 0x67: prefixes.address_size = true; continue;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65: // segments: the address is known
            continue;
        default: break;
        }
        break;
    }
    if (code == Code_size::bits64 && (in.peek() & 0xf0) == 0x40)
        prefixes.rex = in.next();
    return prefixes;
}

u8 operand_bytes(const Prefixes& prefixes, Code_size code)
{
    if (prefixes.w())
        return 8;
    return (code == Code_size::bits16) != prefixes.operand_size ? 2 : 4;
}

u8 address_bytes(const Prefixes& prefixes, Code_size code)
{
    if (code == Code_size::bits64)
        return prefixes.address_size ? 4 : 8;
    return (code == Code_size::bits16) != prefixes.address_size ? 2 : 4;
}

// Reads ModRM, SIB and displacement; nothing when the operand is a register.
std::optional<u8> read_modrm(Byte_reader& in, u8 address_size)
{
    const u8 modrm = in.next();
    const u8 mod   = modrm >> 6;
    const u8 rm    = modrm & 7;
    if (mod == 3)
        return std::nullopt;
    const unsigned wide   = address_size == 2 ? 2 : 4;
    unsigned displacement = mod == 1 ? 1 : mod == 2 ? wide : 0;
    if (address_size == 2) {
        if (mod == 0 && rm == 6)
            displacement = 2;
    } else {
        const u8 base = rm == 4 ? in.next() & 7 : rm;
        if (mod == 0 && base == 5)
            displacement = 4;
    }
    in.skip(displacement);
    return modrm;
}

// The row of opcodes op+0 .. op+3: r/m8 r8; r/m r; r8 r/m8; r r/m.
struct Arithmetic_row {
    u8 first;
    Operation operation;
};
constexpr Arithmetic_row kRows[] = {
    {0x08, Operation::or_},     {0x20, Operation::and_}, {0x30, Operation::xor_},
    {0x38, Operation::compare}, {0x88, Operation::move},
};

// The reg field of opcodes 80, 81 and 83.
std::optional<Operation> immediate_operation(u8 modrm)
{
    switch (modrm >> 3 & 7) {
    case 1: return Operation::or_;
    case 4: return Operation::and_;
    case 6: return Operation::xor_;
    case 7: return Operation::compare;
    default: return std::nullopt;
    }
}

class Decoder
{
  public:
    Decoder(std::span<const u8> bytes, Code_size code)
        : in_(bytes), prefixes_(read_prefixes(in_, code)), operand_(operand_bytes(prefixes_, code)),
          address_(address_bytes(prefixes_, code))
    {
    }

    std::optional<Memory_instruction> decode()
    {
        const u8 opcode  = in_.next();
        const bool known = opcode == 0x0f ? two_bytes(in_.next()) : one_byte(opcode);
        if (!known || in_.ran_out())
            return std::nullopt;
        result_.length = in_.position();
        return result_;
    }

  private:
    bool one_byte(u8 opcode)
    {
        const u8 size = opcode & 1 ? operand_ : 1;
        for (const Arithmetic_row& row : kRows) {
            if (opcode >= row.first && opcode < row.first + 4)
                return with_register(row.operation, size, !(opcode & 2));
        }
        switch (opcode) {
        case 0x84:
        case 0x85: return with_register(Operation::test, size, true);
        case 0xa0:
        case 0xa1:
        case 0xa2:
        case 0xa3: return with_accumulator(size, opcode & 2);
        case 0xc6:
        case 0xc7:
            return with_immediate(size, std::min<u8>(size, 4), [](u8 modrm) {
                return (modrm >> 3 & 7) == 0 ? std::optional(Operation::move) : std::nullopt;
            });
        case 0xf6:
        case 0xf7:
            return with_immediate(size, std::min<u8>(size, 4), [](u8 modrm) {
                return (modrm >> 3 & 7) <= 1 ? std::optional(Operation::test) : std::nullopt;
            });
        case 0x80:
        case 0x81: return with_immediate(size, std::min<u8>(size, 4), immediate_operation);
        case 0x83: return with_immediate(size, 1, immediate_operation);
        default: return false;
        }
    }

    bool two_bytes(u8 opcode)
    {
        switch (opcode) {
        case 0xb6:
        case 0xb7: return extending(opcode & 1 ? 2 : 1, Extension::zero);
        case 0xbe:
        case 0xbf: return extending(opcode & 1 ? 2 : 1, Extension::sign);
        case 0xc3: // MOVNTI
            return operand_ != 2 && with_register(Operation::move, operand_, true);
        default: return false;
        }
    }

    bool with_register(Operation operation, u8 size, bool to_memory)
    {
        const auto modrm = read_modrm(in_, address_);
        if (!modrm)
            return false;
        result_.operation     = operation;
        result_.to_memory     = to_memory;
        result_.size          = size;
        result_.register_size = size;
        set_register(*modrm >> 3 & 7, size);
        return true;
    }

    bool extending(u8 size, Extension extension)
    {
        if (!with_register(Operation::move, size, false))
            return false;
        result_.register_size   = operand_;
        result_.extension       = extension;
        result_.high_byte       = false;
        result_.register_number = static_cast<u8>(modrm_register_ | prefixes_.r());
        return true;
    }

    // MOV between AL, AX, EAX or RAX and an absolute address.
    bool with_accumulator(u8 size, bool to_memory)
    {
        in_.skip(address_);
        result_.to_memory     = to_memory;
        result_.size          = size;
        result_.register_size = size;
        return true;
    }

    template <class Choose>
    bool with_immediate(u8 size, u8 immediate_size, Choose choose)
    {
        const auto modrm = read_modrm(in_, address_);
        if (!modrm)
            return false;
        const auto operation = choose(*modrm);
        if (!operation)
            return false;
        result_.operation      = *operation;
        result_.to_memory      = true;
        result_.from_immediate = true;
        result_.size           = size;
        result_.immediate      = in_.next_signed(immediate_size);
        return true;
    }

    // Without REX, byte registers 4 to 7 are the second bytes of the first four.
    void set_register(u8 number, u8 size)
    {
        modrm_register_         = number;
        result_.high_byte       = size == 1 && !prefixes_.rex && number >= 4;
        result_.register_number = static_cast<u8>(result_.high_byte ? number - 4 : number | prefixes_.r());
    }

    Byte_reader in_;
    Prefixes prefixes_;
    u8 operand_;
    u8 address_;
    u8 modrm_register_ = 0;
    Memory_instruction result_;
};

} // namespace

std::optional<Memory_instruction> decode_memory_instruction(std::span<const u8> bytes, Code_size code)
{
    return Decoder(bytes, code).decode();
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
//
// Every row was assembled by GNU as; the decoder has to agree about what it does and where it ends.
#include "emul/memory_instruction.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <random>
#include <vector>

using namespace vmm;
using Operation = Memory_instruction::Operation;

namespace
{

constexpr Code_size k16 = Code_size::bits16, k32 = Code_size::bits32, k64 = Code_size::bits64;

// One cell of device memory.
struct Cell final : Mmio_device {
    u64 value      = 0;
    unsigned reads = 0, writes = 0;
    u8 size = 0;

    u64 read(Gpa, u8 bytes) override
    {
        ++reads;
        size = bytes;
        return value;
    }
    void write(Gpa, u8 bytes, u64 v) override
    {
        ++writes;
        size  = bytes;
        value = v;
    }
};

struct Row {
    const char* text;
    Code_size code;
    std::vector<u8> bytes;
    u8 size;
};

struct Store : Row {
    u64 stored;
};

struct Load : Row {
    unsigned number;
    u64 result;
};

// RAX is 0x...00 with every byte different, RCX 0x...10 and so on: the n-th byte of register r is 16 r + n.
Guest_registers patterned()
{
    Guest_registers regs{};
    for (unsigned r = 0; r < 16; ++r) {
        u64 value = 0;
        for (unsigned i = 8; i-- > 0;)
            value = value << 8 | (16 * r + i);
        general_register(regs, r) = value;
    }
    return regs;
}

Memory_instruction decode(const Row& row)
{
    INFO(row.text);
    const auto instruction = decode_memory_instruction(row.bytes, row.code);
    REQUIRE(instruction);
    CHECK(instruction->length == row.bytes.size());
    CHECK(instruction->size == row.size);
    return *instruction;
}

const std::vector<Store> kStores{
    {{"mov %al,(%rbx)", k64, {0x88, 0x03}, 1}, 0x00},
    {{"mov %ah,(%rbx)", k64, {0x88, 0x23}, 1}, 0x01},
    {{"mov %sil,(%rbx)", k64, {0x40, 0x88, 0x33}, 1}, 0x60},
    {{"mov %ax,(%rbx)", k64, {0x66, 0x89, 0x03}, 2}, 0x0100},
    {{"mov %eax,(%rbx)", k64, {0x89, 0x03}, 4}, 0x03020100},
    {{"mov %rax,(%rbx)", k64, {0x48, 0x89, 0x03}, 8}, 0x0706050403020100},
    {{"mov %r15d,0x10(%r13)", k64, {0x45, 0x89, 0x7d, 0x10}, 4}, 0xf3f2f1f0},
    {{"movb $0x7f,(%rdi)", k64, {0xc6, 0x07, 0x7f}, 1}, 0x7f},
    {{"movw $0x1234,(%rdi)", k64, {0x66, 0xc7, 0x07, 0x34, 0x12}, 2}, 0x1234},
    {{"movl $-16,8(%rdi)", k64, {0xc7, 0x47, 0x08, 0xf0, 0xff, 0xff, 0xff}, 4}, 0xfffffff0},
    {{"movq $-2,(%rdi)", k64, {0x48, 0xc7, 0x07, 0xfe, 0xff, 0xff, 0xff}, 8}, 0xfffffffffffffffe},
    {{"movabs %eax,moffs", k64, {0xa3, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11}, 4}, 0x03020100},
    {{"movnti %ecx,(%rdx)", k64, {0x0f, 0xc3, 0x0a}, 4}, 0x13121110},
    {{"mov %eax,0x12345678", k32, {0xa3, 0x78, 0x56, 0x34, 0x12}, 4}, 0x03020100},
    {{"mov %ecx,(%ebx,%esi,2)", k32, {0x89, 0x0c, 0x73}, 4}, 0x13121110},
    {{"movl $1,0xfec00010", k32, {0xc7, 0x05, 0x10, 0x00, 0xc0, 0xfe, 0x01, 0x00, 0x00, 0x00}, 4}, 1},
    {{"mov %dh,(%ecx)", k32, {0x88, 0x31}, 1}, 0x21},
    {{"mov %ax,(%bx)", k16, {0x89, 0x07}, 2}, 0x0100},
    {{"mov %eax,0x10(%di)", k16, {0x66, 0x89, 0x45, 0x10}, 4}, 0x03020100},
    {{"movb $5,0x1234", k16, {0xc6, 0x06, 0x34, 0x12, 0x05}, 1}, 5},
};

// The device reads as 0xfedcba9876543298.
const std::vector<Load> kLoads{
    {{"mov 0x12345678(%r12,%rcx,4),%r9", k64, {0x4d, 0x8b, 0x8c, 0x8c, 0x78, 0x56, 0x34, 0x12}, 8},
     9,
     0xfedcba9876543298},
    {{"mov 0x1000(,%rax,8),%edx", k64, {0x8b, 0x14, 0xc5, 0x00, 0x10, 0x00, 0x00}, 4}, 2, 0x76543298},
    {{"mov 0x20(%rip),%ecx", k64, {0x8b, 0x0d, 0x20, 0x00, 0x00, 0x00}, 4}, 1, 0x76543298},
    {{"mov %fs:(%rax),%edi", k64, {0x64, 0x8b, 0x38}, 4}, 7, 0x76543298},
    {{"mov (%eax),%edi", k64, {0x67, 0x8b, 0x38}, 4}, 7, 0x76543298},
    {{"movabs moffs,%al", k64, {0xa0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11}, 1},
     0,
     0x0706050403020198},
    {{"movabs moffs,%rax", k64, {0x48, 0xa1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11}, 8},
     0,
     0xfedcba9876543298},
    {{"movzbl (%rcx),%eax", k64, {0x0f, 0xb6, 0x01}, 1}, 0, 0x98},
    {{"movzbw (%rcx),%ax", k64, {0x66, 0x0f, 0xb6, 0x01}, 1}, 0, 0x0706050403020098},
    {{"movzwl (%rcx),%r8d", k64, {0x44, 0x0f, 0xb7, 0x01}, 2}, 8, 0x3298},
    {{"movzwq (%rcx),%r8", k64, {0x4c, 0x0f, 0xb7, 0x01}, 2}, 8, 0x3298},
    {{"movsbl (%rcx),%esp", k64, {0x0f, 0xbe, 0x21}, 1}, 4, 0xffffff98},
    {{"movsbq (%rcx),%rdi", k64, {0x48, 0x0f, 0xbe, 0x39}, 1}, 7, 0xffffffffffffff98},
    {{"movswl (%rcx),%esi", k64, {0x0f, 0xbf, 0x31}, 2}, 6, 0x3298},
    {{"mov (%rbx),%ah", k64, {0x8a, 0x23}, 1}, 0, 0x0706050403029800},
    {{"mov 0x10(%bx,%si),%dx", k32, {0x67, 0x66, 0x8b, 0x50, 0x10}, 2}, 2, 0x2726252423223298},
    {{"mov 0x1234,%ax", k32, {0x66, 0xa1, 0x34, 0x12, 0x00, 0x00}, 2}, 0, 0x0706050403023298},
    {{"mov (%esi),%ecx", k16, {0x67, 0x66, 0x8b, 0x0e}, 4}, 1, 0x76543298},
};

struct Arithmetic : Row {
    u64 before, after; // in memory
    u64 flags;         // CF, PF, AF, ZF, SF, OF
};

constexpr u64 kCf = 1, kPf = 4, kAf = 16, kZf = 64, kSf = 128, kOf = 2048;

const std::vector<Arithmetic> kArithmetic{
    {{"orl $0x40,(%rax)", k64, {0x83, 0x08, 0x40}, 4}, 0x80000001, 0x80000041, kSf | kPf},
    {{"andb $0xfe,1(%rax)", k64, {0x80, 0x60, 0x01, 0xfe}, 1}, 0x01, 0x00, kZf | kPf},
    {{"xorq $-1,(%rax)", k64, {0x48, 0x83, 0x30, 0xff}, 8}, 0x00ff, 0xffffffffffffff00, kSf | kPf},
    {{"cmpl $0x12345,(%rax)", k64, {0x81, 0x38, 0x45, 0x23, 0x01, 0x00}, 4}, 0x12345, 0x12345, kZf | kPf},
    {{"cmpl $0x12345,(%rax)", k64, {0x81, 0x38, 0x45, 0x23, 0x01, 0x00}, 4},
     0x12344,
     0x12344,
     kCf | kSf | kPf | kAf},
    {{"cmpl $0x12345,(%rax)", k64, {0x81, 0x38, 0x45, 0x23, 0x01, 0x00}, 4},
     0x80000000,
     0x80000000,
     kOf | kAf | kPf},
    {{"testb $1,(%rax)", k64, {0xf6, 0x00, 0x01}, 1}, 0xfe, 0xfe, kZf | kPf},
    {{"testl $0x80000000,4(%rsi)", k64, {0xf7, 0x46, 0x04, 0x00, 0x00, 0x00, 0x80}, 4},
     0x80000000,
     0x80000000,
     kSf | kPf},
    {{"test %edx,(%rax)", k64, {0x85, 0x10}, 4}, 0x20, 0x20, 0},
    {{"and %ecx,(%rax)", k64, {0x21, 0x08}, 4}, 0xffffff10, 0x13121110, 0},
    {{"cmp %cl,(%rax)", k64, {0x38, 0x08}, 1}, 0x10, 0x10, kZf | kPf},
    {{"xor %bh,(%rax)", k64, {0x30, 0x38}, 1}, 0x31, 0x00, kZf | kPf},
};

} // namespace

TEST_CASE("stores")
{
    for (const Store& row : kStores) {
        Guest_registers regs      = patterned();
        const Guest_registers old = regs;
        const auto instruction    = decode(row);
        Cell cell;
        perform(instruction, Gpa(0x1000), regs, cell);
        INFO(row.text);
        CHECK(cell.value == row.stored);
        CHECK(cell.size == row.size);
        CHECK(cell.writes == 1);
        CHECK(cell.reads == 0);
        CHECK(regs.rax == old.rax);
        CHECK(regs.rflags == old.rflags);
    }
}

TEST_CASE("loads")
{
    for (const Load& row : kLoads) {
        Guest_registers regs   = patterned();
        const auto instruction = decode(row);
        Cell cell;
        cell.value = 0xfedcba9876543298;
        perform(instruction, Gpa(0x1000), regs, cell);
        INFO(row.text);
        CHECK(general_register(regs, row.number) == row.result);
        CHECK(cell.size == row.size);
        CHECK(cell.writes == 0);
        for (unsigned r = 0; r < 16; ++r) {
            Guest_registers untouched = patterned();
            if (r != row.number)
                CHECK(general_register(regs, r) == general_register(untouched, r));
        }
    }
}

TEST_CASE("arithmetic on memory, and its flags")
{
    for (const Arithmetic& row : kArithmetic) {
        Guest_registers regs   = patterned();
        regs.rflags            = 0x202 | kCf | kOf | kAf;
        const auto instruction = decode(row);
        Cell cell;
        cell.value = row.before;
        perform(instruction, Gpa(0x1000), regs, cell);
        INFO(row.text);
        CHECK(cell.value == row.after);
        CHECK(regs.rflags == (0x202 | row.flags));
        const bool only_looks =
            instruction.operation == Operation::test || instruction.operation == Operation::compare;
        CHECK(cell.writes == (only_looks ? 0u : 1u));
    }
}

TEST_CASE("arithmetic into a register")
{
    Guest_registers regs = patterned();
    Cell cell;
    cell.value             = 0xf0;
    const auto instruction = decode({"or (%rax),%ecx", k64, {0x0b, 0x08}, 4});
    perform(instruction, Gpa(0x1000), regs, cell);
    CHECK(regs.rcx == 0x131211f0);
    CHECK(cell.writes == 0);
}

TEST_CASE("everything else is refused")
{
    const std::vector<std::vector<u8>> refused{
        {0x89, 0xc3},                   // mov %eax,%ebx: no memory
        {0xf0, 0x09, 0x08},             // lock or
        {0xf3, 0xa4},                   // rep movsb
        {0x01, 0x08},                   // add
        {0xff, 0x00},                   // inc
        {0xc7, 0x48, 0x00, 0, 0, 0, 0}, // C7 /1
        {0x80, 0x00, 0x01},             // add $1,(%rax)
        {0xf6, 0x10},                   // not
        {0x0f, 0x10, 0x00},             // movups
        {0x66, 0x0f, 0xc3, 0x0a},       // movnti with 16 bits
        {0xc5, 0xf8, 0x10, 0x00},       // VEX
        {0x48, 0x66, 0x01},             // REX not last
        {},
    };
    for (const auto& bytes : refused)
        CHECK_FALSE(decode_memory_instruction(bytes, k64));
    const std::vector<u8> endless(15, 0x66);
    CHECK_FALSE(decode_memory_instruction(endless, k64));
    std::vector<u8> too_long(14, 0x66);
    too_long.insert(too_long.end(), {0x89, 0x03});
    CHECK_FALSE(decode_memory_instruction(too_long, k64));
}

TEST_CASE("an instruction that is cut short is no instruction")
{
    std::vector<Row> all;
    all.insert(all.end(), kStores.begin(), kStores.end());
    all.insert(all.end(), kLoads.begin(), kLoads.end());
    all.insert(all.end(), kArithmetic.begin(), kArithmetic.end());
    for (const Row& row : all) {
        for (std::size_t length = 0; length < row.bytes.size(); ++length) {
            // On the heap and of exactly that size, so that a byte too far is seen.
            const auto bytes = std::make_unique<u8[]>(length);
            std::copy_n(row.bytes.begin(), length, bytes.get());
            CHECK_FALSE(decode_memory_instruction({bytes.get(), length}, row.code));
        }
    }
}

TEST_CASE("random bytes are read only as far as they go")
{
    std::mt19937 random(20240229);
    unsigned decoded = 0;
    for (int round = 0; round < 300'000; ++round) {
        const std::size_t length = random() % 17;
        const auto bytes         = std::make_unique<u8[]>(length);
        for (std::size_t i = 0; i < length; ++i)
            bytes[i] = static_cast<u8>(random());
        const auto instruction =
            decode_memory_instruction({bytes.get(), length}, static_cast<Code_size>(random() % 3));
        if (!instruction)
            continue;
        ++decoded;
        REQUIRE(instruction->length >= 2);
        REQUIRE(instruction->length <= std::min<std::size_t>(length, kLongestInstruction));
        REQUIRE((instruction->size == 1 || instruction->size == 2 || instruction->size == 4 ||
                 instruction->size == 8));
        REQUIRE(instruction->register_number < 16);
    }
    CHECK(decoded > 10'000);
}

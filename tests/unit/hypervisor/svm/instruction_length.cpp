// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/decode/instruction_length.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <vector>

using namespace vmm;

namespace
{

using Ins = Intercepted_instruction;

struct Row {
    Intercepted_instruction which;
    std::vector<u8> bytes;
    bool long_mode;
    std::optional<u8> length;
};

} // namespace

TEST_CASE("length of intercepted instructions")
{
    const Row rows[] = {
        {Ins::vmmcall, {0x0f, 0x01, 0xd9}, true, 3},
        {Ins::vmmcall, {0x0f, 0x01, 0xd9, 0x90, 0x90}, true, 3},
        {Ins::vmmcall, {0x66, 0x0f, 0x01, 0xd9}, true, 4},
        {Ins::vmmcall, {0x48, 0x0f, 0x01, 0xd9}, true, 4},
        {Ins::vmmcall, {0x48, 0x0f, 0x01, 0xd9}, false, std::nullopt}, // dec %eax outside long mode
        {Ins::vmmcall, {0x0f, 0x01, 0xc1}, true, std::nullopt},        // vmcall is another instruction
        {Ins::vmmcall, {0x0f, 0x01}, true, std::nullopt},              // cut off
        {Ins::cpuid, {0x0f, 0xa2}, true, 2},
        {Ins::cpuid, {0xf3, 0x2e, 0x67, 0x4f, 0x0f, 0xa2}, true, 6},
        {Ins::cpuid, {0x4f, 0x66, 0x0f, 0xa2}, true, std::nullopt}, // REX must come last
        {Ins::rdmsr, {0x0f, 0x32}, true, 2},
        {Ins::wrmsr, {0x0f, 0x30}, true, 2},
        {Ins::wrmsr, {0x0f, 0x32}, true, std::nullopt},
        {Ins::hlt, {0xf4}, true, 1},
        {Ins::hlt, {0xf3, 0xf4}, false, 2},
        {Ins::xsetbv, {0x0f, 0x01, 0xd1}, true, 3},
        {Ins::invd, {0x0f, 0x08}, true, 2},
        {Ins::wbinvd, {0x0f, 0x09}, true, 2},
        {Ins::wbinvd, {0x0f, 0x08}, true, 2},       // invd, as QEMU has it
        {Ins::wbinvd, {0xf3, 0x0f, 0x09}, true, 3}, // wbnoinvd
        {Ins::hlt, {}, true, std::nullopt},
    };
    for (const auto& row : rows)
        CHECK(instruction_length(row.bytes, row.which, row.long_mode) == row.length);
}

TEST_CASE("no instruction is longer than fifteen bytes")
{
    std::vector<u8> bytes(14, 0x66);
    bytes.push_back(0xf4);
    CHECK(instruction_length(bytes, Ins::hlt, true) == 15);
    bytes.insert(bytes.begin(), 0x66);
    CHECK(instruction_length(bytes, Ins::hlt, true) == std::nullopt);
}

TEST_CASE("any bytes are safe to measure")
{
    std::mt19937 random(1);
    for (unsigned round = 0; round < 20'000; ++round) {
        std::vector<u8> bytes(random() % 16);
        for (auto& b : bytes)
            b = static_cast<u8>(random());
        const auto length =
            instruction_length(bytes, static_cast<Intercepted_instruction>(random() % 8), random() & 1);
        CHECK((!length || *length <= bytes.size()));
    }
}

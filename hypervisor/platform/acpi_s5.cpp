// SPDX-License-Identifier: Apache-2.0
#include "platform/acpi.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

// AML opcodes. [ACPI 20.3]
constexpr u8 kZeroOp             = 0x00;
constexpr u8 kOneOp              = 0x01;
constexpr u8 kNameOp             = 0x08;
constexpr u8 kBytePrefix         = 0x0a;
constexpr u8 kPackageOp          = 0x12;
constexpr u8 kRootChar           = '\\';
constexpr std::string_view kName = "_S5_";

// PackageOp PkgLength NumElements elements; bits 7:6 of PkgLength's first byte count its further bytes.
std::optional<Sleep_type> parse_package(std::span<const u8> aml)
{
    std::size_t at  = 0;
    const auto next = [&]() -> std::optional<u8> {
        return at < aml.size() ? std::optional(aml[at++]) : std::nullopt;
    };
    const auto small_integer = [&]() -> std::optional<u8> {
        const auto op = next();
        if (op == kZeroOp || op == kOneOp)
            return op;
        return op == kBytePrefix ? next() : std::nullopt;
    };
    if (next() != kPackageOp)
        return std::nullopt;
    at += next().value_or(0) >> 6;
    const u8 count = next().value_or(0);
    if (count < 1)
        return std::nullopt;
    const auto a = small_integer();
    if (!a)
        return std::nullopt;
    const auto b = count >= 2 ? small_integer() : a;
    return Sleep_type{static_cast<u8>(*a & 7), static_cast<u8>(b.value_or(*a) & 7)};
}

} // namespace

std::optional<Sleep_type> find_s5(std::span<const u8> aml)
{
    for (std::size_t at = 1; at + kName.size() < aml.size(); ++at) {
        if (!std::equal(kName.begin(), kName.end(), aml.begin() + static_cast<std::ptrdiff_t>(at)))
            continue;
        const bool named =
            aml[at - 1] == kNameOp || (at >= 2 && aml[at - 1] == kRootChar && aml[at - 2] == kNameOp);
        if (!named)
            continue;
        if (auto found = parse_package(aml.subspan(at + kName.size())))
            return found;
    }
    return std::nullopt;
}

} // namespace vmm

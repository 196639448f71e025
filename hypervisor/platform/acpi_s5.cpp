// SPDX-License-Identifier: Apache-2.0
#include "platform/acpi_s5.hpp"

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

// Reads forwards and never past the end.
class Aml
{
  public:
    explicit Aml(std::span<const u8> bytes) : left_(bytes) {}

    std::optional<u8> next()
    {
        if (left_.empty())
            return std::nullopt;
        const u8 byte = left_.front();
        left_         = left_.subspan(1);
        return byte;
    }
    bool skip(std::size_t n)
    {
        if (n > left_.size())
            return false;
        left_ = left_.subspan(n);
        return true;
    }
    std::optional<u8> small_integer()
    {
        const auto op = next();
        if (!op || *op == kZeroOp || *op == kOneOp)
            return op;
        return *op == kBytePrefix ? next() : std::nullopt;
    }

  private:
    std::span<const u8> left_;
};

// PackageOp PkgLength NumElements elements; bits 7:6 of PkgLength's first byte count its further bytes.
std::optional<Sleep_type> parse_package(std::span<const u8> bytes)
{
    Aml aml(bytes);
    if (aml.next() != kPackageOp)
        return std::nullopt;
    const auto length = aml.next();
    if (!length || !aml.skip(*length >> 6))
        return std::nullopt;
    const auto count = aml.next();
    if (!count || *count < 1)
        return std::nullopt;
    const auto a = aml.small_integer();
    if (!a)
        return std::nullopt;
    const auto b = *count >= 2 ? aml.small_integer() : a;
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

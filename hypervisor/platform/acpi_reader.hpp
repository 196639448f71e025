// SPDX-License-Identifier: Apache-2.0
//
// Bytes of one ACPI table, or of one record inside it, at offsets the ACPI specification names. Every access
// is checked against the length; what is outside reads as absent.
#pragma once

#include "platform/acpi.hpp"

namespace vmm
{

inline constexpr u32 kAcpiHeaderSize = 36;

class Acpi_bytes
{
  public:
    Acpi_bytes(const Physical_reader& memory, Hpa at, u32 length) : memory_(memory), at_(at), length_(length)
    {
    }

    [[nodiscard]] u32 length() const { return length_; }
    [[nodiscard]] bool has(u32 offset, u32 size) const
    {
        return offset <= length_ && size <= length_ - offset;
    }

    // The value at `offset`, or `otherwise` where the table has none.
    template <class T>
    T get(u32 offset, T otherwise = {}) const
    {
        T value{};
        return has(offset, sizeof value) && memory_.read_object(at_ + offset, value) ? value : otherwise;
    }
    [[nodiscard]] Acpi_bytes part(u32 offset, u32 size) const
    {
        return has(offset, size) ? Acpi_bytes(memory_, at_ + offset, size) : Acpi_bytes(memory_, at_, 0);
    }
    // All bytes are readable and add up to zero.
    [[nodiscard]] bool checksum_is_right() const
    {
        u8 sum = 0;
        u8 chunk[64];
        for (u32 i = 0; i < length_;) {
            const u32 n = length_ - i < sizeof chunk ? length_ - i : static_cast<u32>(sizeof chunk);
            if (!memory_.read(at_ + i, std::span<u8>(chunk, n)))
                return false;
            for (u32 k = 0; k < n; ++k)
                sum = static_cast<u8>(sum + chunk[k]);
            i += n;
        }
        return sum == 0;
    }

  private:
    const Physical_reader& memory_;
    Hpa at_;
    u32 length_;
};

} // namespace vmm

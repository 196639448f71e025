// SPDX-License-Identifier: Apache-2.0
#pragma once
// Bounds-checked reading of little-endian structures out of an untrusted image, and of sub-ranges of it.
// Offsets and lengths may be any 64-bit number; nothing here wraps or reads outside the span.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

namespace vmm
{

using Byte_view = std::span<const std::byte>;

template <class T>
requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::optional<T> read_at(Byte_view bytes, std::uint64_t offset)
{
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
        return std::nullopt;
    }
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

[[nodiscard]] inline std::optional<Byte_view> slice(Byte_view bytes, std::uint64_t offset,
                                                    std::uint64_t length)
{
    if (offset > bytes.size() || bytes.size() - offset < length) {
        return std::nullopt;
    }
    return bytes.subspan(offset, length);
}

[[nodiscard]] inline bool is_zero(Byte_view bytes)
{
    // Zero if the first byte is and each equals the one before; memcmp is the fastest loop there is.
    return bytes.empty() ||
           (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

[[nodiscard]] inline bool starts_with(Byte_view bytes, std::span<const unsigned char> magic)
{
    return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

} // namespace vmm

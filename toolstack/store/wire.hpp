// SPDX-License-Identifier: Apache-2.0
#pragma once
// The store's messages as bytes: a header (struct xsd_sockmsg of xen/io/xs_wire.h, little-endian like the
// host) and up to 4096 bytes of payload, mostly NUL-terminated strings. Knows framing and the spelling of
// errors, nothing of what a request means. Input comes from guests and is trusted for nothing.

#include "toolstack/base/error.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vmm::store
{

struct Message {
    std::uint32_t type           = 0;
    std::uint32_t request_id     = 0;
    std::uint32_t transaction_id = 0;
    std::string payload;
};

inline constexpr std::size_t kHeaderBytes = 16;
inline constexpr std::size_t kPayloadMax  = 4096; // XENSTORE_PAYLOAD_MAX

[[nodiscard]] std::string serialise(const Message& message);

// "ENOENT" for Errc::not_found; a code the protocol has no word for becomes "EINVAL".
[[nodiscard]] std::string_view wire_name(Errc code);

// The NUL-terminated strings a payload starts with; bytes after the last NUL belong to none of them.
[[nodiscard]] std::vector<std::string_view> split_strings(std::string_view payload);
// The payload as exactly one string with its NUL at the end.
[[nodiscard]] std::optional<std::string_view> only_string(std::string_view payload);
// Each part followed by a NUL.
[[nodiscard]] std::string join_strings(std::initializer_list<std::string_view> parts);
// A decimal number, digits only, no larger than `max`.
[[nodiscard]] std::optional<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max);

// Assembles one message from pieces of any size. Put bytes into space(), tell add() how many; never wants
// more than the current message, so nothing of the next one is consumed early.
class Message_reader
{
  public:
    enum class Progress { incomplete, complete, too_long };

    [[nodiscard]] std::span<char> space();
    [[nodiscard]] Progress add(std::size_t count); // count <= space().size()
    [[nodiscard]] Message take();                  // after `complete`; ready for the next message then
    void reset();
    // The bytes of a message that is not complete; restore() of them makes another reader the same.
    [[nodiscard]] std::string partial() const;
    [[nodiscard]] bool restore(std::string_view partial); // false when they are none

  private:
    std::array<char, kHeaderBytes> header_{};
    std::size_t header_used_  = 0;
    std::size_t payload_used_ = 0;
    Message message_;
};

} // namespace vmm::store

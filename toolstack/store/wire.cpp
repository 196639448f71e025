// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/wire.hpp"

#include <xen/io/xs_wire.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace vmm::store
{

static_assert(sizeof(xsd_sockmsg) == kHeaderBytes);
static_assert(XENSTORE_PAYLOAD_MAX == kPayloadMax);

std::string serialise(const Message& message)
{
    const xsd_sockmsg header = {message.type, message.request_id, message.transaction_id,
                                static_cast<std::uint32_t>(message.payload.size())};
    std::string bytes(kHeaderBytes + message.payload.size(), '\0');
    std::memcpy(bytes.data(), &header, kHeaderBytes);
    message.payload.copy(bytes.data() + kHeaderBytes, message.payload.size());
    return bytes;
}

std::string_view wire_name(Errc code)
{
    for (const auto& known : xsd_errors) {
        if (known.errnum == static_cast<int>(code)) {
            return known.errstring;
        }
    }
    return "EINVAL";
}

std::vector<std::string_view> split_strings(std::string_view payload)
{
    std::vector<std::string_view> strings;
    std::size_t start = 0;
    for (std::size_t end = payload.find('\0'); end != payload.npos; end = payload.find('\0', start)) {
        strings.push_back(payload.substr(start, end - start));
        start = end + 1;
    }
    return strings;
}

std::optional<std::string_view> only_string(std::string_view payload)
{
    const std::size_t end = payload.find('\0');
    if (end == payload.npos || end + 1 != payload.size()) {
        return std::nullopt;
    }
    return payload.substr(0, end);
}

std::string join_strings(std::initializer_list<std::string_view> parts)
{
    std::string joined;
    for (const std::string_view part : parts) {
        joined.append(part);
        joined.push_back('\0');
    }
    return joined;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max)
{
    std::uint64_t value      = 0;
    const char* end          = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || value > max) {
        return std::nullopt;
    }
    return value;
}

std::span<char> Message_reader::space()
{
    if (header_used_ < kHeaderBytes) {
        return std::span(header_).subspan(header_used_);
    }
    return std::span(message_.payload).subspan(payload_used_);
}

Message_reader::Progress Message_reader::add(std::size_t count)
{
    if (header_used_ < kHeaderBytes) {
        header_used_ += count;
        if (header_used_ < kHeaderBytes) {
            return Progress::incomplete;
        }
        xsd_sockmsg header{};
        std::memcpy(&header, header_.data(), kHeaderBytes);
        if (header.len > kPayloadMax) {
            return Progress::too_long;
        }
        message_ = {header.type, header.req_id, header.tx_id, std::string(header.len, '\0')};
    } else {
        payload_used_ += count;
    }
    return payload_used_ == message_.payload.size() ? Progress::complete : Progress::incomplete;
}

Message Message_reader::take()
{
    Message taken = std::move(message_);
    reset();
    return taken;
}

void Message_reader::reset()
{
    header_used_  = 0;
    payload_used_ = 0;
    message_      = {};
}

std::string Message_reader::partial() const
{
    std::string bytes(header_.data(), header_used_);
    return bytes.append(message_.payload, 0, payload_used_);
}

bool Message_reader::restore(std::string_view partial)
{
    reset();
    while (!partial.empty()) {
        const std::size_t count = std::min(partial.size(), space().size());
        partial.copy(space().data(), count);
        partial.remove_prefix(count);
        if (add(count) != Progress::incomplete) {
            reset();
            return false;
        }
    }
    return true;
}

} // namespace vmm::store

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/wire.hpp"

#include <xen/io/xs_wire.h>

#include <catch2/catch.hpp>

#include <cstring>

using namespace vmm;
using namespace vmm::store;

namespace
{

// Feeds `bytes` in pieces of `piece` and returns the messages that came together.
std::vector<Message> assemble(std::string_view bytes, std::size_t piece)
{
    Message_reader reader;
    std::vector<Message> messages;
    while (!bytes.empty()) {
        const std::size_t count = std::min({piece, bytes.size(), reader.space().size()});
        bytes.copy(reader.space().data(), count);
        bytes.remove_prefix(count);
        if (reader.add(count) == Message_reader::Progress::complete) {
            messages.push_back(reader.take());
        }
    }
    return messages;
}

} // namespace

TEST_CASE("a message is serialised as struct xsd_sockmsg and its payload")
{
    const std::string bytes = serialise({XS_WRITE, 7, 9, std::string("/a\0b", 4)});
    REQUIRE(bytes.size() == sizeof(xsd_sockmsg) + 4);
    xsd_sockmsg header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    CHECK(header.type == XS_WRITE);
    CHECK(header.req_id == 7);
    CHECK(header.tx_id == 9);
    CHECK(header.len == 4);
    CHECK(bytes.substr(sizeof header) == std::string("/a\0b", 4));
}

TEST_CASE("messages come together from pieces of any size, the next one's bytes left alone")
{
    const std::string stream = serialise({XS_READ, 1, 0, std::string("/a\0", 3)}) +
                               serialise({XS_RESET_WATCHES, 2, 0, {}}) +
                               serialise({XS_WRITE, 3, 5, std::string(kPayloadMax, 'x')});
    for (const std::size_t piece : {1U, 2U, 3U, 15U, 16U, 17U, 4000U, 100000U}) {
        const auto messages = assemble(stream, piece);
        REQUIRE(messages.size() == 3);
        CHECK(messages[0].payload == std::string("/a\0", 3));
        CHECK(messages[1].request_id == 2);
        CHECK(messages[1].payload.empty());
        CHECK(messages[2].transaction_id == 5);
        CHECK(messages[2].payload == std::string(kPayloadMax, 'x'));
    }
}

TEST_CASE("a payload over the limit is refused as soon as it is announced")
{
    for (const std::uint32_t length : {4097U, 0x80000000U, 0xffffffffU}) {
        Message_reader reader;
        const xsd_sockmsg header = {XS_WRITE, 0, 0, length};
        std::memcpy(reader.space().data(), &header, sizeof header);
        CHECK(reader.add(sizeof header) == Message_reader::Progress::too_long);
    }
}

TEST_CASE("payload strings")
{
    CHECK(split_strings("").empty());
    CHECK(split_strings("unterminated").empty());
    CHECK(split_strings(std::string_view("a\0\0bc\0rest", 10)) ==
          std::vector<std::string_view>{"a", "", "bc"});
    CHECK(only_string(std::string_view("abc\0", 4)) == "abc");
    CHECK(only_string(std::string_view("\0", 1)) == "");
    CHECK_FALSE(only_string(""));
    CHECK_FALSE(only_string("abc"));
    CHECK_FALSE(only_string(std::string_view("a\0b\0", 4)));
    CHECK_FALSE(only_string(std::string_view("a\0b", 3)));
    CHECK(join_strings({"a", "", "b"}) == std::string("a\0\0b\0", 5));
}

TEST_CASE("decimal numbers are digits only and within bounds")
{
    CHECK(parse_decimal("0", 10) == 0U);
    CHECK(parse_decimal("65535", 65535) == 65535U);
    for (const std::string_view bad :
         {"", "-1", "+1", " 1", "1 ", "0x1", "65536", "99999999999999999999999"}) {
        CHECK_FALSE(parse_decimal(bad, 65535));
    }
}

TEST_CASE("errors are spelled as the protocol spells them")
{
    CHECK(wire_name(Errc::not_found) == "ENOENT");
    CHECK(wire_name(Errc::access_denied) == "EACCES");
    CHECK(wire_name(Errc::again) == "EAGAIN");
    CHECK(wire_name(Errc::no_space) == "ENOSPC");
    CHECK(wire_name(Errc::too_big) == "E2BIG");
    CHECK(wire_name(Errc::not_permitted) == "EPERM");
    CHECK(wire_name(Errc::timed_out) == "EINVAL"); // no word for it
}

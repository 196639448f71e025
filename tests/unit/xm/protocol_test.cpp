// SPDX-License-Identifier: Apache-2.0
#include "toolstack/control/protocol.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>

using namespace vmm::control;

TEST_CASE("A request survives encoding")
{
    const auto line = encode(Request{7, "domid", {{"domain", "a\nb"}}});
    CHECK(line == "{\"id\":7,\"op\":\"domid\",\"args\":{\"domain\":\"a\\nb\"}}\n");
    const auto request = decode_request(line);
    REQUIRE(request);
    CHECK(request->id == 7);
    CHECK(request->op == "domid");
    CHECK(request->args["domain"] == "a\nb");
}

TEST_CASE("A request may leave out its arguments and carry fields nobody knows")
{
    const auto request = decode_request(R"({"id":1,"op":"info","future":true})");
    REQUIRE(request);
    CHECK(request->args == Json::object());
}

TEST_CASE("A request that is none is answered with why")
{
    const auto [line, id, message] = GENERATE(table<const char*, unsigned, const char*>({
        {"", 0, "the request is not a JSON object"},
        {"nonsense", 0, "the request is not a JSON object"},
        {"[1]", 0, "the request is not a JSON object"},
        {"{\"id\":1,\"op\":\"x\"", 0, "the request is not a JSON object"},
        {"{\"op\":\"x\"}", 0, "the request has no positive whole number \"id\""},
        {"{\"id\":0,\"op\":\"x\"}", 0, "the request has no positive whole number \"id\""},
        {"{\"id\":-1,\"op\":\"x\"}", 0, "the request has no positive whole number \"id\""},
        {"{\"id\":\"1\",\"op\":\"x\"}", 0, "the request has no positive whole number \"id\""},
        {"{\"id\":5}", 5, "the request has no \"op\" string"},
        {"{\"id\":5,\"op\":1}", 5, "the request has no \"op\" string"},
        {"{\"id\":5,\"op\":\"x\",\"args\":[]}", 5, "\"args\" is not an object"},
    }));
    INFO(line);
    const auto request = decode_request(line);
    REQUIRE_FALSE(request);
    CHECK(request.error().id == id);
    REQUIRE_FALSE(request.error().result);
    CHECK(request.error().result.error().code == Code::bad_request);
    CHECK(request.error().result.error().message == message);
}

TEST_CASE("Answers survive encoding, good and bad")
{
    const auto good = decode_reply(encode(success(3, {{"domid", 5}})));
    REQUIRE(good);
    CHECK(good->id == 3);
    CHECK((*good->result)["domid"] == 5);

    const auto line = encode(failure(4, Code::no_memory, "needs 5, free 4"));
    CHECK(line ==
          "{\"id\":4,\"ok\":false,\"error\":{\"code\":\"no-memory\",\"message\":\"needs 5, free 4\"}}\n");
    const auto bad = decode_reply(line);
    REQUIRE(bad);
    REQUIRE_FALSE(bad->result);
    CHECK(bad->result.error().code == Code::no_memory);
    CHECK(bad->result.error().message == "needs 5, free 4");
}

TEST_CASE("A code of a newer vmmd keeps its message")
{
    const auto reply = decode_reply(R"({"id":1,"ok":false,"error":{"code":"too-purple","message":"m"}})");
    REQUIRE(reply);
    CHECK(reply->result.error().code == Code::internal);
    CHECK(reply->result.error().message == "m");
}

TEST_CASE("An answer outside the protocol is an error, not a crash")
{
    const auto* line = GENERATE("", "x", "[]", "{}", R"({"id":1,"ok":1})", R"({"id":1,"ok":true})",
                                R"({"id":1,"ok":false})", R"({"id":1,"ok":false,"error":"x"})",
                                R"({"id":1,"ok":false,"error":{"code":1,"message":"m"}})",
                                R"({"id":1,"ok":false,"error":{"code":"internal"}})");
    INFO(line);
    CHECK_FALSE(decode_reply(line));
}

TEST_CASE("Text that is not UTF-8 is replaced, not refused")
{
    CHECK(encode(failure(1, Code::internal, "a\xff")).find("a\xef\xbf\xbd") != std::string::npos);
}

TEST_CASE("Every error code has a name that reads back")
{
    for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
        const auto code = static_cast<Code>(i);
        CHECK(parse_code(code_name(code)) == code);
    }
    CHECK_FALSE(parse_code("no-such-code"));
}

TEST_CASE("Errors from below get their natural code")
{
    using vmm::Errc;
    CHECK(code_for(Errc::out_of_memory) == Code::no_memory);
    CHECK(code_for(Errc::no_such_domain) == Code::no_domain);
    CHECK(code_for(Errc::not_permitted) == Code::not_permitted);
    CHECK(code_for(Errc::io) == Code::internal);
}

TEST_CASE("The socket's path comes from the environment if that has one")
{
    ::unsetenv("VMMD_SOCKET");
    CHECK(socket_path() == "/run/vmm/vmmd.sock");
    ::setenv("VMMD_SOCKET", "", 1);
    CHECK(socket_path() == "/run/vmm/vmmd.sock");
    ::setenv("VMMD_SOCKET", "/x", 1);
    CHECK(socket_path() == "/x");
    ::unsetenv("VMMD_SOCKET");
}

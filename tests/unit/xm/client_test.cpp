// SPDX-License-Identifier: Apache-2.0
#include "fake_vmmd.hpp"
#include "toolstack/control/client.hpp"

#include <catch2/catch.hpp>
#include <fstream>

using namespace vmm;
using control::Client;
using Kind = control::Call_failure::Kind;

TEST_CASE("No vmmd: the message says how to get one")
{
    const auto missing = Client::connect("/nonexistent/vmmd.sock");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().kind == Kind::no_vmmd);
    CHECK(missing.error().message ==
          "vmmd is not running (no /nonexistent/vmmd.sock): start it with 'systemctl start vmmd' or 'vmmd'");

    test::Fake_vmmd fake;
    const auto dead = fake.folder() + "/dead";
    std::ofstream{dead} << "";
    CHECK(Client::connect(dead).error().message == "vmmd is not running (nobody answers at " + dead +
                                                       "): start it with 'systemctl start vmmd' or 'vmmd'");
    CHECK(Client::connect(std::string(200, 'x')).error().kind == Kind::no_vmmd);
}

TEST_CASE("Answers find their requests in any order")
{
    test::Fake_vmmd fake;
    auto client       = Client::connect(fake.socket()).value();
    const auto first  = client.start("slow").value();
    const auto second = client.start("slower").value();
    fake.answer_held("slower", {{"n", 2}});
    fake.answer_held("slow", {{"n", 1}});
    CHECK(client.finish(first).value()["n"] == 1);
    CHECK(client.finish(second).value()["n"] == 2);
}

TEST_CASE("A refusal keeps code and message")
{
    test::Fake_vmmd fake;
    fake.refuse("domid", control::Code::no_domain, "no domain is called \"x\"");
    auto client       = Client::connect(fake.socket()).value();
    const auto answer = client.call("domid");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == Kind::refused);
    CHECK(answer.error().code == control::Code::no_domain);
    CHECK(answer.error().message == "no domain is called \"x\"");
}

TEST_CASE("A deadline passes, and the answer can still be had later")
{
    test::Fake_vmmd fake;
    auto client     = Client::connect(fake.socket()).value();
    const auto id   = client.start("wait").value();
    const auto late = client.finish(id, Client::Clock::now() + std::chrono::milliseconds{10});
    REQUIRE_FALSE(late);
    CHECK(late.error().kind == Kind::timed_out);
    fake.answer_held("wait", {{"n", 1}});
    CHECK(client.finish(id).value()["n"] == 1);
}

TEST_CASE("A vmmd that hangs up, or answers nonsense, is an error with the reason")
{
    test::Fake_vmmd fake;
    auto client = Client::connect(fake.socket()).value();
    SECTION("hangs up")
    {
        fake.hang_up_on("create");
        const auto answer = client.call("create");
        REQUIRE_FALSE(answer);
        CHECK(answer.error().kind == Kind::lost);
        CHECK(answer.error().message ==
              "vmmd closed the connection before it answered (end of stream): see its log, "
              "then check with 'xm list' what was done");
    }
    SECTION("nonsense")
    {
        const auto id = client.start("hold").value();
        fake.wait_for_request("hold");
        fake.send_raw("nonsense\n");
        const auto answer = client.finish(id);
        REQUIRE_FALSE(answer);
        CHECK(answer.error().kind == Kind::lost);
    }
    SECTION("an answer to nobody")
    {
        const auto id = client.start("hold").value();
        fake.wait_for_request("hold");
        fake.send_raw("{\"id\":0,\"ok\":false,\"error\":{\"code\":\"bad-request\",\"message\":\"m\"}}\n");
        CHECK(client.finish(id).error().kind == Kind::lost);
    }
}

TEST_CASE("A client that goes away in the middle of a request is seen by the server")
{
    test::Fake_vmmd fake;
    {
        auto client = Client::connect(fake.socket()).value();
        REQUIRE(client.start("create"));
        fake.wait_for_request("create");
    }
    fake.wait_for_hang_ups(1);
}

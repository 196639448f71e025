// SPDX-License-Identifier: Apache-2.0
#include "fake_vmmd.hpp"
#include "toolstack/control/domain_rows.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <future>

using namespace vmm;
using test::Fake_vmmd;
using test::Json;
using test::run_xm;

namespace
{

Json row(std::uint32_t domid, std::optional<std::string> shutdown_reason = {})
{
    control::Domain_row row;
    row.domid           = domid;
    row.state.shutdown  = shutdown_reason.has_value();
    row.shutdown_reason = std::move(shutdown_reason);
    return to_json(row);
}

std::string call(const std::string& op, const std::string& domain)
{
    return op + " " + Json{{"domain", domain}}.dump();
}

void be_there(Fake_vmmd& fake, std::uint32_t domid, const std::string& named)
{
    const std::string id = std::to_string(domid);
    fake.answer(call("domname", named), {{"domid", domid}, {"name", "demo" + id}});
    fake.answer(call("shutdown", id), {{"domid", domid}});
    fake.answer("wait " + Json{{"domid", domid}}.dump(),
                {{"domid", domid}, {"outcome", "gone"}, {"reason", "poweroff"}});
}

} // namespace

TEST_CASE("shutdown asks and does not wait")
{
    Fake_vmmd fake;
    fake.answer("domname", {{"domid", 3}, {"name", "demo"}});
    fake.answer("shutdown", {{"domid", 3}});
    const auto ran = run_xm({"shutdown", "demo"});
    CHECK(ran.exit == 0);
    CHECK(ran.out == "");
    CHECK(fake.requests() ==
          std::vector<std::string>{R"(domname {"domain":"demo"})", R"(shutdown {"domain":"3"})"});
}

TEST_CASE("shutdown -w opens its wait before it asks, and says how it ended")
{
    Fake_vmmd fake;
    fake.answer("domname", {{"domid", 3}, {"name", "demo"}});
    fake.answer("shutdown", {{"domid", 3}});
    auto ran = std::async(std::launch::async, [] { return run_xm({"shutdown", "-w", "demo"}); });
    fake.answer_held("wait", {{"domid", 3}, {"outcome", "gone"}, {"reason", "poweroff"}});
    const auto result = ran.get();
    CHECK(result.exit == 0);
    CHECK(result.out == "demo has powered off\n");
    const auto requests = fake.requests();
    const auto wait     = std::ranges::find(requests, R"(wait {"domid":3})");
    const auto ask      = std::ranges::find(requests, R"(shutdown {"domain":"3"})");
    CHECK(wait < ask);
}

TEST_CASE("How a domain ended is told in words, or as JSON")
{
    Fake_vmmd fake;
    fake.answer("domname", {{"domid", 3}, {"name", "demo"}});
    fake.answer("reboot", {{"domid", 3}});
    const auto [answer, words] = GENERATE(table<const char*, const char*>({
        {R"({"domid":3,"outcome":"restarted","reason":"reboot","new_domid":4})",
         "demo has rebooted, and runs again with id 4\n"},
        {R"({"domid":3,"outcome":"preserved","reason":"crash"})",
         "demo has crashed, and is kept until 'xm destroy'\n"},
        {R"({"domid":3,"outcome":"gone","reason":"destroyed"})", "demo was destroyed\n"},
        {R"({"domid":3,"outcome":"gone","reason":"unknown"})", "demo has ended\n"},
    }));
    fake.answer("wait", Json::parse(answer));
    CHECK(run_xm({"reboot", "--wait", "demo"}).out == words);
    CHECK(Json::parse(run_xm({"reboot", "-w", "--json", "demo"}).out) ==
          Json{{"domains", {Json::parse(answer)}}});
}

TEST_CASE("shutdown -w gives up after --timeout, with an exit code of its own")
{
    Fake_vmmd fake;
    fake.answer("domname", {{"domid", 3}, {"name", "demo"}});
    fake.answer("shutdown", {{"domid", 3}});
    const auto ran = run_xm({"shutdown", "-w", "-t", "0", "demo"});
    CHECK(ran.exit == 6);
    CHECK(ran.err ==
          "xm shutdown: demo has not ended in time: it may not listen; 'xm destroy' does not ask\n");
}

TEST_CASE("shutdown -a is for every domain but Domain-0")
{
    Fake_vmmd fake;
    fake.answer("list", {{"domains", {row(0), row(3), row(5)}}});
    fake.answer("domname", {{"domid", 3}, {"name", "demo"}});
    fake.answer("shutdown", {{"domid", 3}});
    CHECK(run_xm({"shutdown", "-a"}).exit == 0);
    CHECK(fake.requests() ==
          std::vector<std::string>{"list {}", R"(domname {"domain":"3"})", R"(shutdown {"domain":"3"})",
                                   R"(domname {"domain":"5"})", R"(shutdown {"domain":"3"})"});
}

TEST_CASE("shutdown -a asks and awaits the others when one refuses")
{
    Fake_vmmd fake;
    fake.answer("list", {{"domains", {row(0), row(3), row(5), row(7)}}});
    for (const std::uint32_t domid : {3U, 5U, 7U})
        be_there(fake, domid, std::to_string(domid));
    fake.refuse(call("shutdown", "3"), control::Code::bad_state, "\"demo3\" is paused");

    const auto ran = run_xm({"shutdown", "-aw"});
    CHECK(ran.exit == 1);
    CHECK(ran.err == "xm shutdown: \"demo3\" is paused\n");
    CHECK(ran.out == "demo5 has powered off\ndemo7 has powered off\n");
    const auto requests = fake.requests();
    for (const char* const id : {"3", "5", "7"})
        CHECK(std::ranges::count(requests, call("shutdown", id)) == 1);
}

TEST_CASE("shutdown -a passes over domains that have ended or are gone since it listed them")
{
    Fake_vmmd fake;
    control::Domain_row dying;
    dying.domid       = 4;
    dying.state.dying = true;
    fake.answer("list", {{"domains", {row(0), row(3, "crash"), to_json(dying), row(5), row(7), row(9)}}});
    fake.refuse(call("domname", "5"), control::Code::no_domain, "no domain has the id 5");
    be_there(fake, 7, "7");
    fake.refuse(call("shutdown", "7"), control::Code::no_domain, "no domain has the id 7");
    be_there(fake, 9, "9");

    const auto ran = run_xm({"shutdown", "-a"});
    CHECK(ran.exit == 0);
    CHECK(ran.err == "");
    CHECK(fake.requests() == std::vector<std::string>{"list {}", call("domname", "5"), call("domname", "7"),
                                                      call("shutdown", "7"), call("domname", "9"),
                                                      call("shutdown", "9")});
}

TEST_CASE("shutdown -a asks a domain that stands still to be saved, which may run on")
{
    Fake_vmmd fake;
    fake.answer("list", {{"domains", {row(0), row(3, "suspend")}}});
    be_there(fake, 3, "3");
    fake.refuse(call("shutdown", "3"), control::Code::bad_state, "\"demo3\" is not running any more");
    CHECK(run_xm({"shutdown", "-a"}).err == "xm shutdown: \"demo3\" is not running any more\n");
}

TEST_CASE("shutdown of several domains tells all that failed in one line, with the exit code of the first")
{
    Fake_vmmd fake;
    fake.refuse(call("domname", "typo"), control::Code::no_domain, "no domain is called \"typo\"");
    be_there(fake, 3, "demo3");
    be_there(fake, 5, "demo5");
    fake.refuse(call("shutdown", "5"), control::Code::bad_state, "\"demo5\" is paused");

    const auto ran = run_xm({"shutdown", "--json", "typo", "demo5", "demo3"});
    CHECK(ran.exit == 4);
    CHECK(Json::parse(ran.err)["error"]["message"] == "no domain is called \"typo\"; \"demo5\" is paused");
    CHECK(Json::parse(ran.out) == Json{{"domains", {Json{{"domid", 3}}}}});
}

TEST_CASE("shutdown ends with the connection to vmmd")
{
    Fake_vmmd fake;
    fake.answer("list", {{"domains", {row(0), row(3), row(5)}}});
    fake.hang_up_on("domname");
    CHECK(run_xm({"shutdown", "-a"}).exit == 5);
    CHECK(fake.requests().size() == 2);
}

TEST_CASE("Options that contradict each other")
{
    Fake_vmmd fake;
    CHECK(run_xm({"shutdown"}).err ==
          "xm shutdown: name the domains, or give --all for every one but Domain-0\n");
    CHECK(run_xm({"shutdown", "-a", "demo"}).exit == 2);
    CHECK(run_xm({"shutdown", "-t", "5", "demo"}).err == "xm shutdown: --timeout goes with --wait\n");
    CHECK(fake.requests().empty());
}

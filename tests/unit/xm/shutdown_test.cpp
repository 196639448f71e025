// SPDX-License-Identifier: Apache-2.0
#include "fake_vmmd.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <future>

using namespace vmm;
using test::Fake_vmmd;
using test::Json;
using test::run_xm;

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
    fake.answer("list", {{"domains", {{{"domid", 0}}, {{"domid", 3}}, {{"domid", 5}}}}});
    fake.answer("domname", {{"domid", 3}, {"name", "demo"}});
    fake.answer("shutdown", {{"domid", 3}});
    CHECK(run_xm({"shutdown", "-a"}).exit == 0);
    CHECK(fake.requests() ==
          std::vector<std::string>{"list {}", R"(domname {"domain":"3"})", R"(shutdown {"domain":"3"})",
                                   R"(domname {"domain":"5"})", R"(shutdown {"domain":"3"})"});
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

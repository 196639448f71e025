// SPDX-License-Identifier: Apache-2.0
// Each verb: what it asks of vmmd, what it prints, and what it prints with --json.
#include "fake_vmmd.hpp"
#include "toolstack/control/domain_rows.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace vmm;
using test::Fake_vmmd;
using test::Json;
using test::run_xm;

namespace
{

struct Simple_verb {
    std::vector<std::string> words; // the verb first
    const char* request;
    Json answer;
    const char* out;
};

Json two_domains()
{
    control::Domain_row dom0;
    dom0.name          = "Domain-0";
    dom0.uuid          = "00000000-0000-0000-0000-000000000000";
    dom0.state.running = true;
    dom0.memory_kib    = 512 << 10;
    dom0.vcpus         = 1;
    dom0.cpu_time_ns   = 12340000000;
    control::Domain_row demo;
    demo.domid         = 3;
    demo.name          = "demo";
    demo.state.blocked = true;
    demo.memory_kib    = (128 << 10) + 1023;
    demo.vcpus         = 2;
    return {{"domains", {to_json(dom0), to_json(demo)}}};
}

} // namespace

TEST_CASE("Verbs that ask one thing and print little")
{
    const auto verb = GENERATE(values<Simple_verb>({
        {{"pause", "demo"}, R"(pause {"domain":"demo"})", {{"domid", 3}}, ""},
        {{"unpause", "3"}, R"(unpause {"domain":"3"})", {{"domid", 3}}, ""},
        {{"destroy", "demo"}, R"(destroy {"domain":"demo"})", {{"domid", 3}}, ""},
        {{"rename", "demo", "new"},
         R"(rename {"domain":"demo","name":"new"})",
         {{"domid", 3}, {"name", "new"}},
         ""},
        {{"domid", "demo"}, R"(domid {"domain":"demo"})", {{"domid", 3}}, "3\n"},
        {{"domname", "3"}, R"(domname {"domain":"3"})", {{"domid", 3}, {"name", "demo"}}, "demo\n"},
        {{"mem-set", "demo", "64"},
         R"(mem-set {"domain":"demo","kib":65536})",
         {{"domid", 3}, {"target_kib", 65536}},
         ""},
        {{"mem-max", "demo", "1g"},
         R"(mem-max {"domain":"demo","kib":1048576})",
         {{"domid", 3}, {"max_kib", 1048576}},
         ""},
        {{"vcpu-set", "demo", "2"},
         R"(vcpu-set {"domain":"demo","count":2})",
         {{"domid", 3}, {"vcpus", 2}},
         ""},
        {{"sysrq", "demo", "h"}, R"(sysrq {"domain":"demo","key":"h"})", {{"domid", 3}}, ""},
        {{"info"},
         "info {}",
         {{"host", "box"}, {"nr_cpus", 2}},
         "host                   : box\nnr_cpus                : 2\n"},
        {{"dmesg"}, R"(dmesg {"clear":false})", {{"text", "one\ntwo"}}, "one\ntwo\n"},
        {{"dmesg", "-c"}, R"(dmesg {"clear":true})", {{"text", ""}}, ""},
    }));
    Fake_vmmd fake;
    fake.answer(verb.words.front(), verb.answer);
    INFO(verb.request);

    const auto ran = run_xm(verb.words);
    CHECK(ran.err == "");
    CHECK(ran.exit == 0);
    CHECK(ran.out == verb.out);
    CHECK(fake.requests() == std::vector<std::string>{verb.request});

    auto with_json = verb.words;
    with_json.insert(with_json.begin() + 1, "--json");
    const auto json = run_xm(with_json);
    CHECK(json.exit == 0);
    const auto printed = Json::parse(json.out);
    CHECK((printed == verb.answer || printed == Json{{"domains", {verb.answer}}}));
}

TEST_CASE("pause takes several domains and stops at the first that fails")
{
    Fake_vmmd fake;
    fake.answer("pause", {{"domid", 1}});
    CHECK(run_xm({"pause", "a", "b"}).exit == 0);
    CHECK(fake.requests().size() == 2);
    fake.refuse("pause", control::Code::no_domain, "no domain is called \"c\"");
    const auto ran = run_xm({"pause", "c", "d"});
    CHECK(ran.exit == 4);
    CHECK(ran.err == "xm pause: no domain is called \"c\"\n");
    CHECK(fake.requests().size() == 3);
}

TEST_CASE("network-list has the columns of xl, and more as JSON")
{
    Fake_vmmd fake;
    const Json row{{"domid", 3},
                   {"number", 0},
                   {"state", 4},
                   {"backend_state", "connected"},
                   {"spec", "devid=0,mac=00:16:3e:00:00:05,nat"},
                   {"ring", {{"tx-ring-ref", "8"}, {"rx-ring-ref", "9\n"}, {"event-channel", "7"}}},
                   {"backend_path", "/local/domain/0/backend/vif/3/0"},
                   {"nodes", {{"ip", "10.76.0.2"}, {"bridge", "vmm0"}}}};
    fake.answer("device-list", {{"devices", {row}}});
    CHECK(run_xm({"network-list", "demo"}).out ==
          "Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path\n"
          "0   0  00:16:3e:00:00:05 0      4     7        8/9?            /local/domain/0/backend/vif/3/0\n");
    const auto json = Json::parse(run_xm({"network-list", "demo", "--json"}).out)["interfaces"][0];
    CHECK(json["mac"] == "00:16:3e:00:00:05");
    CHECK(json["ip"] == "10.76.0.2");
    CHECK(json["bridge"] == "vmm0");

    fake.answer("device-attach", {{"domid", 3}, {"number", 1}});
    CHECK(run_xm({"network-attach", "demo", "bridge=br0", "mtu=1400"}).exit == 0);
    CHECK(fake.requests().back() ==
          R"(device-attach {"domain":"demo","type":"vif","spec":"bridge=br0,mtu=1400"})");
    fake.answer("device-detach", {{"domid", 3}, {"number", 0}});
    CHECK(run_xm({"network-detach", "demo", "00:16:3e:00:00:05", "--force"}).exit == 0);
    CHECK(fake.requests().back() ==
          R"(device-detach {"domain":"demo","type":"vif","number":0,"force":true})");
    CHECK(run_xm({"network-detach", "demo", "00:16:3e:00:00:06"}).err ==
          "xm network-detach: no interface of \"demo\" has mac 00:16:3e:00:00:06\n");
    CHECK(run_xm({"network-detach", "demo", "eth0"}).exit == 2);
    CHECK(run_xm({"network-attach", "demo", "brdge=br0"}).err.find("did you mean \"bridge\"?") !=
          std::string::npos);
}

TEST_CASE("block-list has the columns of xl, and more as JSON")
{
    Fake_vmmd fake;
    const Json row{{"domid", 3},
                   {"number", 51728},
                   {"state", 4},
                   {"backend_state", "connected"},
                   {"spec", "vdev=xvdb, format=raw, access=rw, target=/srv/b.img"},
                   {"ring", {{"ring-ref", "8"}, {"event-channel", "7\n"}}},
                   {"backend_path", "/local/domain/0/backend/vbd/3/51728"},
                   {"nodes", {{"physical-device-path", "/dev/loop3"}, {"sectors", "2048"}}}};
    fake.answer("device-list", {{"devices", {row}}});
    CHECK(run_xm({"block-list", "demo"}).out ==
          "Vdev  BE  handle state evt-ch ring-ref BE-path\n"
          "51728 0   51728  4     7?     8        /local/domain/0/backend/vbd/3/51728\n");
    const auto json = Json::parse(run_xm({"block-list", "demo", "--json"}).out)["disks"][0];
    CHECK(json["vdev"] == "xvdb");
    CHECK(json["target"] == "/srv/b.img");
    CHECK(json["device"] == "/dev/loop3");
    CHECK(json["sectors"] == "2048");

    fake.answer("device-attach", {{"domid", 3}, {"number", 51728}});
    CHECK(run_xm({"block-attach", "demo", "vdev=xvdb", "access=ro", "target=/srv/b.img"}).exit == 0);
    CHECK(fake.requests().back() == R"(device-attach {"domain":"demo","type":"vbd",)"
                                    R"("spec":"vdev=xvdb, format=raw, access=ro, target=/srv/b.img"})");
    CHECK(run_xm({"block-attach", "demo", "/srv/b.img,raw,nodisk,w"}).exit == 2);
    fake.answer("device-detach", {{"domid", 3}, {"number", 51728}});
    for (const char* const name : {"xvdb", "51728"}) {
        CHECK(run_xm({"block-detach", "demo", name, "--force"}).exit == 0);
        CHECK(fake.requests().back() ==
              R"(device-detach {"domain":"demo","type":"vbd","number":51728,"force":true})");
    }
    CHECK(run_xm({"block-detach", "demo", "nodisk"}).exit == 2);
}

TEST_CASE("a medium goes into a drive, after the one that is there")
{
    Fake_vmmd fake;
    const auto drive_with = [&](const std::string& target) {
        const Json row{{"number", 51712},
                       {"spec", "vdev=xvda, format=raw, access=ro, devtype=cdrom, target=" + target}};
        const Json disk{{"number", 51728}, {"spec", "/srv/b.img,raw,xvdb,w"}};
        fake.answer("device-list", {{"devices", {row, disk}}});
    };
    const auto change = [](const std::string& rest) {
        return R"(device-change {"domain":"demo","type":"vbd","spec":"vdev=xvda, format=)" + rest +
               R"(","force":false})";
    };
    fake.answer("device-change", {{"domid", 3}, {"number", 51712}});
    drive_with("");
    CHECK(run_xm({"cd-eject", "demo", "xvda"}).err == "xm cd-eject: drive xvda is empty\n");
    CHECK(run_xm({"cd-insert", "demo", "xvda", "qcow2:/srv/one.qcow2"}).exit == 0);
    CHECK(fake.requests().back() == change("qcow2, access=ro, devtype=cdrom, target=/srv/one.qcow2"));
    drive_with("/srv/one.iso");
    CHECK(run_xm({"cd-insert", "demo", "xvda", "/srv/two.iso"}).exit == 0);
    REQUIRE(fake.requests().size() >= 2);
    CHECK(fake.requests()[fake.requests().size() - 2] == change("raw, access=ro, devtype=cdrom, target="));
    CHECK(fake.requests().back() == change("raw, access=ro, devtype=cdrom, target=/srv/two.iso"));
    CHECK(run_xm({"cd-eject", "demo", "xvda"}).exit == 0);
    CHECK(fake.requests().back() == change("raw, access=ro, devtype=cdrom, target="));
    CHECK(run_xm({"cd-insert", "demo", "xvdb", "/srv/two.iso"}).err ==
          "xm cd-insert: \"demo\" has no CD-ROM drive xvdb: `xm block-list` shows its disks\n");
}

TEST_CASE("list has the columns of xl")
{
    Fake_vmmd fake;
    fake.answer("list", two_domains());
    const auto ran = run_xm({"list"});
    CHECK(ran.exit == 0);
    CHECK(ran.out == "Name                                        ID   Mem VCPUs\tState\tTime(s)\n"
                     "Domain-0                                     0   512     1     r-----      12.3\n"
                     "demo                                         3   128     2     -b----       0.0\n");
    CHECK(fake.requests() == std::vector<std::string>{R"(list {"long":false})"});
}

TEST_CASE("list asks for the domains named, and long for everything")
{
    Fake_vmmd fake;
    fake.answer("list", two_domains());
    const auto ran = run_xm({"list", "-l", "demo", "5"});
    CHECK(ran.exit == 0);
    CHECK(Json::parse(ran.out) == two_domains()["domains"]);
    CHECK(fake.requests() == std::vector<std::string>{R"(list {"domains":["demo","5"],"long":true})"});
    CHECK(Json::parse(run_xm({"list", "--json"}).out) == two_domains());
}

TEST_CASE("vcpu-list shows where processors run and may run")
{
    control::Vcpu_row on;
    on.domid              = 3;
    on.name               = "demo";
    on.cpu                = 1;
    on.state.running      = true;
    on.cpu_time_ns        = 1500000000;
    on.affinity           = "0-3";
    on.soft_affinity      = "all";
    control::Vcpu_row off = on;
    off.vcpu              = 1;
    off.cpu.reset();
    off.state    = {};
    off.affinity = "all";
    Fake_vmmd fake;
    fake.answer("vcpu-list", {{"vcpus", {to_json(on), to_json(off)}}});
    CHECK(run_xm({"vcpu-list", "demo"}).out ==
          "Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)\n"
          "demo                                 3     0     1   r--       1.5  0-3 / all\n"
          "demo                                 3     1     -   ---       1.5  all / all\n");
    CHECK(Json::parse(run_xm({"vcpu-list", "--json"}).out)["vcpus"].size() == 2);
    CHECK(fake.requests() == std::vector<std::string>{R"(vcpu-list {"domains":["demo"]})", "vcpu-list {}"});
}

TEST_CASE("sched-credit shows and sets shares")
{
    Fake_vmmd fake;
    fake.answer("sched-list", {{"domains",
                                {to_json(control::Sched_row{0, "Domain-0", 512, 0}),
                                 to_json(control::Sched_row{3, "demo", 256, 20})}}});
    const auto* const verb = GENERATE("sched-credit", "sched-credit2");
    CHECK(run_xm({verb}).out == "Name                                ID Weight  Cap\n"
                                "Domain-0                             0    512    0\n"
                                "demo                                 3    256   20\n");
    CHECK(run_xm({verb, "-d", "demo"}).exit == 0);
    CHECK(Json::parse(run_xm({verb, "--json"}).out)["domains"].size() == 2);
    CHECK(fake.requests() ==
          std::vector<std::string>{"sched-list {}", R"(sched-list {"domains":["demo"]})", "sched-list {}"});

    fake.answer("sched-set", {{"domid", 3}, {"weight", 512}, {"cap", 50}});
    CHECK(run_xm({verb, "-d", "demo", "-w", "512", "-c", "50"}).out.empty());
    CHECK(fake.requests().back() == R"(sched-set {"domain":"demo","weight":512,"cap":50})");
    CHECK(Json::parse(run_xm({verb, "-d", "demo", "-c0", "--json"}).out)["cap"] == 50);
    CHECK(fake.requests().back() == R"(sched-set {"domain":"demo","cap":0})");
    CHECK(run_xm({verb, "-w", "512"}).exit == 2);
    CHECK(run_xm({verb, "-d", "demo", "-w", "-1"}).err ==
          "xm " + std::string{verb} + ": weight: \"-1\" is not a whole number that is not negative\n");
    CHECK(run_xm({verb, "-d", "demo", "-c", "half"}).exit == 2);
}

TEST_CASE("vcpu-pin takes both affinities, and leaves what is a dash")
{
    Fake_vmmd fake;
    fake.answer("vcpu-pin", {{"domid", 3}});
    const std::vector<std::string> pinned[] = {
        {"demo", "0", "1"}, {"demo", "all", "0-3,^1", "all"}, {"demo", "1", "-", "2"}};
    for (auto words : pinned) {
        words.insert(words.begin(), "vcpu-pin");
        CHECK(run_xm(words).out.empty());
    }
    CHECK(fake.requests() ==
          std::vector<std::string>{R"(vcpu-pin {"domain":"demo","vcpu":0,"hard":"1"})",
                                   R"(vcpu-pin {"domain":"demo","hard":"0-3,^1","soft":"all"})",
                                   R"(vcpu-pin {"domain":"demo","vcpu":1,"soft":"2"})"});
    CHECK(run_xm({"vcpu-pin", "demo", "0"}).exit == 2);
    CHECK(run_xm({"vcpu-pin", "demo", "0", "-", "-"}).err ==
          "xm vcpu-pin: nothing is to be changed: give CPUs for the hard or the soft affinity\n");
    CHECK(run_xm({"vcpu-pin", "demo", "first", "0"}).err ==
          "xm vcpu-pin: vCPU: \"first\" is not a whole number that is not negative\n");
    CHECK(run_xm({"vcpu-pin", "demo", "0", "3-1"}).err ==
          "xm vcpu-pin: hard affinity: range \"3-1\" runs backwards\n");
    CHECK(run_xm({"vcpu-pin", "demo", "0", "all", "x"}).exit == 2);
}

TEST_CASE("CPU pools are shown as xl shows them, and changed")
{
    Fake_vmmd fake;
    const Json pool0{
        {"id", 0}, {"name", "Pool-0"}, {"cpus", {0, 1, 3}}, {"scheduler", "credit2"}, {"domains", 2}};
    const Json apart{{"id", 1}, {"name", "apart"}, {"cpus", {2}}, {"scheduler", "null"}, {"domains", 1}};
    fake.answer("pool-list", {{"pools", {pool0, apart}}, {"free_cpus", Json::array()}});
    CHECK(run_xm({"cpupool-list"}).out == "Name               CPUs   Sched     Active   Domain count\n"
                                          "Pool-0               3   credit2       y          2\n"
                                          "apart                1      null       y          1\n");
    CHECK(run_xm({"cpupool-list", "-c", "Pool-0"}).out == "Name               CPU list\n"
                                                          "Pool-0             0-1,3\n");
    CHECK(Json::parse(run_xm({"cpupool-list", "apart", "--json"}).out)["pools"] == Json{apart});
    CHECK(run_xm({"cpupool-list", "other"}).exit == 1);

    for (const char* const op : {"pool-create", "pool-destroy", "pool-rename", "pool-cpus", "pool-move"})
        fake.answer(op, {{"id", 1}});
    const auto asks = [&](std::vector<std::string> words) {
        const auto ran = run_xm(std::move(words));
        return ran.exit == 0 && ran.out.empty() ? fake.requests().back() : ran.err;
    };
    CHECK(asks({"cpupool-create", "name=apart", "cpus=2-3", "sched=null"}) ==
          R"(pool-create {"name":"apart","cpus":"2-3","scheduler":"null"})");
    CHECK(asks({"cpupool-create", "name=\"apart\"", "cpus=[\"2\",\"3\"]"}) ==
          R"(pool-create {"name":"apart","cpus":"2,3"})");
    CHECK(asks({"cpupool-create", "cpus=2"}) == "xm cpupool-create: a pool needs a name: name=NAME\n");
    CHECK(asks({"cpupool-create", "apart"}) ==
          "xm cpupool-create: \"apart\" is none of name=, sched= and cpus=\n");
    CHECK(asks({"cpupool-destroy", "apart"}) == R"(pool-destroy {"pool":"apart"})");
    CHECK(asks({"cpupool-rename", "apart", "alone"}) == R"(pool-rename {"pool":"apart","name":"alone"})");
    CHECK(asks({"cpupool-cpu-add", "apart", "3"}) == R"(pool-cpus {"pool":"apart","cpus":"3","add":true})");
    CHECK(asks({"cpupool-cpu-remove", "0", "3"}) == R"(pool-cpus {"pool":"0","cpus":"3","add":false})");
    CHECK(asks({"cpupool-cpu-remove", "0", "3-1"}) ==
          "xm cpupool-cpu-remove: cpus: range \"3-1\" runs backwards\n");
    CHECK(asks({"cpupool-migrate", "demo", "apart"}) == R"(pool-move {"domain":"demo","pool":"apart"})");
}

TEST_CASE("uptime counts days apart")
{
    Fake_vmmd fake;
    const Json rows = {{{"domid", 0}, {"name", "Domain-0"}, {"uptime_s", 3 * 86400 + 3661}},
                       {{"domid", 3}, {"name", "demo"}, {"uptime_s", 59}},
                       {{"domid", 4}, {"name", "old"}, {"uptime_s", 86400}}};
    fake.answer("uptime", {{"domains", rows}});
    CHECK(run_xm({"uptime"}).out == "Name                                ID Uptime\n"
                                    "Domain-0                             0 3 days, 1:01:01\n"
                                    "demo                                 3 0:00:59\n"
                                    "old                                  4 1 day, 0:00:00\n");
    CHECK(Json::parse(run_xm({"uptime", "--json"}).out)["domains"] == rows);
}

TEST_CASE("cpu-policy prints a line for configurations, and what several hosts have in common")
{
    Fake_vmmd fake;
    fake.answer("cpu-policy",
                {{"vendor", "AuthenticAMD"}, {"model", "AMD EPYC"}, {"cpuid", "6000000:1:0:0:0:20"}});
    CHECK(run_xm({"cpu-policy"}).out == "# AMD EPYC\n# sse sse2 sse3 avx2\ncpuid = \"6000000:1:0:0:0:20\"\n");
    const auto file = [&](const char* name, const char* text) {
        std::ofstream(fake.folder() + name) << text;
        return fake.folder() + name;
    };
    const auto other = file("/other", "# Another\ncpuid = \"4000000:3\"\n");
    CHECK(run_xm({"cpu-policy", "--with", other}).out == "# AMD EPYC\n# sse2 sse3\ncpuid = \"4000000:1\"\n");
    CHECK(Json::parse(run_xm({"cpu-policy", "--json", "-w", other}).out)["features"] == Json{"sse2", "sse3"});
    CHECK(fake.requests().front() == R"(cpu-policy {})");
    const auto nothing = file("/nothing", "memory = 1\n");
    CHECK(run_xm({"cpu-policy", "-w", nothing}).err ==
          "xm cpu-policy: " + nothing + ": has no line cpuid = \"...\", as `xm cpu-policy` prints it\n");
    const auto bad = file("/bad", "cpuid = \"host\"\n");
    CHECK(run_xm({"cpu-policy", "-w", bad}).err ==
          "xm cpu-policy: " + bad + ":1:9: cpuid: word 1 is no hexadecimal number of up to 8 digits\n");
    CHECK(run_xm({"cpu-policy", "-w", "/none"}).exit == 3);
}

TEST_CASE("What a guest chose cannot play with the terminal")
{
    Fake_vmmd fake;
    fake.answer("domname", {{"domid", 3}, {"name", "a\x1b[2Jb"}});
    CHECK(run_xm({"domname", "3"}).out == "a?[2Jb\n");
}

TEST_CASE("An answer without what it must have is an error that says so")
{
    Fake_vmmd fake;
    for (const auto* op : {"domid", "domname", "list", "vcpu-list", "uptime", "dmesg"})
        fake.answer(op, Json::object());
    for (const std::vector<std::string>& words : {std::vector<std::string>{"domid", "x"},
                                                  {"domname", "x"},
                                                  {"list"},
                                                  {"vcpu-list"},
                                                  {"uptime"},
                                                  {"dmesg"}}) {
        const auto ran = run_xm(words);
        CHECK(ran.exit == 5);
        CHECK(ran.out == "");
        CHECK(ran.err.find("xm and vmmd are of different releases") != std::string::npos);
    }
    fake.answer("list", {{"domains", {1}}});
    CHECK(run_xm({"list"}).err == "xm list: vmmd sent a row whose \"domid\" is missing or wrong\n");
}

TEST_CASE("Wrong words are told before vmmd is asked")
{
    Fake_vmmd fake;
    CHECK(run_xm({"mem-set", "a", "lots"}).exit == 2);
    CHECK(run_xm({"sysrq", "a", "hh"}).err ==
          "xm sysrq: \"hh\" is no SysRq key: give one letter or digit, as 'h' for its help\n");
    CHECK(run_xm({"rename", "a", "b c"}).err ==
          "xm rename: the new name has ' ' at character 2: a name has 1 to 63 letters, digits and . _ - +\n");
    CHECK(fake.requests().empty());
}

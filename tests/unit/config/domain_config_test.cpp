// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/domain_config_json.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace vmm::config;

namespace
{

Domain_config small()
{
    Domain_config config;
    config.name   = "a";
    config.kernel = "/k";
    return config;
}

std::string problem(const Domain_config& config)
{
    const auto result = validate(config);
    return result ? "none" : result.error().to_string();
}

std::string json_problem(const char* text)
{
    const auto result = from_json(Json::parse(text));
    return result ? "none" : result.error().to_string();
}

} // namespace

TEST_CASE("Limits hold exactly at their ends")
{
    auto config       = small();
    config.name       = std::string(63, 'x');
    config.memory_mib = 16;
    config.maxmem_mib = 16ull << 20;
    config.vcpus = config.maxvcpus = 64;
    config.cmdline                 = std::string(4095, 'c');
    CHECK(problem(config) == "none");

    auto longer = config;
    longer.name += 'x';
    CHECK(problem(longer) == "name: has 64 characters: a name has 1 to 63 letters, digits and . _ - +");
    longer            = config;
    longer.memory_mib = 15;
    CHECK(problem(longer) == "memory: 15 is out of range, give 16 to 16777216 (MiB)");
    longer = config;
    longer.maxmem_mib += 1;
    CHECK(problem(longer) == "maxmem: 16777217 is out of range, give 16 to 16777216 (MiB)");
    longer          = config;
    longer.maxvcpus = 65;
    CHECK(problem(longer) == "maxvcpus: 65 is out of range, give 1 to 64");
    longer = config;
    longer.cmdline += 'c';
    CHECK(problem(longer) == "cmdline: a command line of 4096 characters is too long, at most 4095 fit");
    longer        = config;
    longer.kernel = std::string("/k\0x", 4);
    CHECK(problem(longer) == "kernel: a path has a NUL character in it");
}

TEST_CASE("Text is UTF-8 or refused")
{
    const auto [text, good] = GENERATE(table<std::string, bool>({
        {"z\xc3\xa4hler \xe2\x82\xac \xf0\x9f\x90\xa7", true},
        {"\xc3", false},
        {"\xc0\x80", false},
        {"\xe0\x80\x80", false},
        {"\xed\xa0\x80", false},
        {"\xf0\x80\x80\x80", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\x80", false},
        {"\xc3(", false},
    }));
    auto config             = small();
    config.cmdline          = text;
    CHECK(validate(config).has_value() == good);
}

TEST_CASE("A config survives the way through JSON")
{
    auto config = small();
    CHECK(from_json(to_json(config)) == config);

    config.uuid                = Uuid::parse("01234567-89ab-cdef-0123-456789abcdef").value();
    config.generation_id       = true;
    config.ramdisk             = "/r";
    config.cmdline             = "console=hvc0 \"quoted\" \\ \xc3\xa4";
    config.memory_mib          = 64;
    config.maxmem_mib          = 128;
    config.vcpus               = 2;
    config.maxvcpus            = 3;
    config.affinity            = {Cpu_set::parse("0-3,^1").value(), Cpu_set{}};
    config.soft_affinity       = {Cpu_set{}, Cpu_set::parse("7").value()};
    config.cpu_weight          = 65'535;
    config.cap                 = 300;
    config.pool                = "apart";
    config.on_poweroff         = End_action::preserve;
    config.on_reboot           = End_action::destroy;
    config.on_crash            = End_action::rename_restart;
    config.on_watchdog         = End_action::restart;
    config.max_event_channels  = 4096;
    config.max_grant_frames    = 256;
    config.max_maptrack_frames = 0;
    config.localtime           = true;
    config.rtc_timeoffset      = -3600;
    CHECK(from_json(Json::parse(to_json(config).dump())) == config);
}

TEST_CASE("JSON without maxmem and maxvcpus takes them from memory and vcpus")
{
    const auto config = from_json(Json::parse(R"({"name":"a","kernel":"/k","memory":512,"vcpus":2})"));
    REQUIRE(config);
    CHECK(config->maxmem_mib == 512);
    CHECK(config->maxvcpus == 2);
}

TEST_CASE("JSON that is no config names the field")
{
    CHECK(json_problem("[]") == "config: expected a JSON object");
    CHECK(json_problem("{}") == "name: is empty: a name has 1 to 63 letters, digits and . _ - +");
    CHECK(json_problem(R"({"nme":"a"})") == "nme: is not a field of a domain config");
    CHECK(json_problem(R"({"name":5})") == "name: expected a string");
    CHECK(json_problem(R"({"memory":"64"})") == "memory: expected a whole number that is not negative");
    CHECK(json_problem(R"({"memory":-1})") == "memory: expected a whole number that is not negative");
    CHECK(json_problem(R"({"memory":1.5})") == "memory: expected a whole number that is not negative");
    CHECK(json_problem(R"({"vcpus":4294967297})") == "vcpus: expected a whole number that is not negative");
    CHECK(json_problem(R"({"uuid":"x"})") ==
          "uuid: \"x\" is not a UUID: write 32 hex digits as 01234567-89ab-cdef-0123-456789abcdef");
    CHECK(json_problem(R"({"uuid":1})") == "uuid: expected a string");
    CHECK(json_problem(R"({"type":"hvm"})") == "type: expected \"pvh\"");
    CHECK(json_problem(R"({"ms_vm_genid":1})") == "ms_vm_genid: expected \"generate\" or \"none\"");
    CHECK(json_problem(R"({"localtime":1})") == "localtime: expected true or false");
    CHECK(json_problem(R"({"rtc_timeoffset":1.5})") == "rtc_timeoffset: expected a whole number");
    CHECK(json_problem(R"({"rtc_timeoffset":18446744073709551615})") ==
          "rtc_timeoffset: expected a whole number");
    CHECK(json_problem(R"({"max_grant_frames":-1})") ==
          "max_grant_frames: expected a whole number that is not negative");
    CHECK(json_problem(R"({"name":"a","kernel":"/k","max_grant_frames":0})") ==
          "max_grant_frames: 0 is out of range, give 1 to 256");
    CHECK(json_problem(R"({"cpus":"0"})") == "cpus: expected a list of strings");
    CHECK(json_problem(R"({"cpus":[0]})") == "cpus: expected a list of strings");
    CHECK(json_problem(R"({"cpus":["9-1"]})") == "cpus: range \"9-1\" runs backwards");
    CHECK(json_problem(R"({"on_crash":"no"})") ==
          "on_crash: expected \"destroy\", \"restart\", \"rename-restart\" or \"preserve\"");
    CHECK(json_problem(R"({"name":"a","kernel":"/k","memory":64,"maxmem":32})") ==
          "maxmem: 32 is less than memory (64)");
}

// SPDX-License-Identifier: Apache-2.0
#include "platform/command_line.hpp"

#include "platform/text_scan.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <random>
#include <string>

using namespace vmm;
using log::Level;

namespace
{

struct Parsed {
    Options options;
    Option_notes notes;
};

Parsed parse(std::string_view text)
{
    Parsed p;
    parse_command_line(text, p.options, p.notes);
    return p;
}

} // namespace

TEST_CASE("command line: defaults when empty")
{
    const Parsed p = parse("");
    CHECK(p.notes.empty());
    CHECK(p.options.console_com1);
    CHECK(p.options.console_vga);
    CHECK(p.options.com1.port == 0x3f8);
    CHECK(p.options.com1.baud == 115200);
    CHECK(p.options.dom0_mem == 0);
    CHECK_FALSE(p.options.no_reboot);
}

TEST_CASE("command line: every option")
{
    const Parsed p   = parse("  console=vga com1=57600,7e2,0x2f8 dom0_mem=1024M,max:2G dom0_max_vcpus=4 "
                               "loglvl=warning/all guest_loglvl=none noreboot maxcpus=8 sched=null "
                               "sched-gran=core dom0_vcpus_pin clocksource=acpi help");
    const Options& o = p.options;
    CHECK(p.notes.empty());
    CHECK_FALSE(o.console_com1);
    CHECK(o.console_vga);
    CHECK(o.com1.baud == 57600);
    CHECK(o.com1.data_bits == 7);
    CHECK(o.com1.parity == 'e');
    CHECK(o.com1.stop_bits == 2);
    CHECK(o.com1.port == 0x2f8);
    CHECK(o.dom0_mem == 1ull << 30);
    CHECK(o.dom0_mem_max == 2ull << 30);
    CHECK(o.dom0_max_vcpus == 4);
    CHECK(o.sched == Sched_kind::unshared);
    CHECK(o.sched_granularity == Sched_granularity::core);
    CHECK(o.clock_source == Clock_source::acpi_timer);
    CHECK(o.dom0_vcpus_pin);
    CHECK(o.loglvl.always == Level::warning);
    CHECK(o.loglvl.limited == Level::debug);
    CHECK(o.guest_loglvl.limited == Level::none);
    CHECK(o.no_reboot);
    CHECK(o.max_cpus == 8);
    CHECK(o.help);
}

TEST_CASE("command line: spec-ctrl is passed on as it is")
{
    CHECK(parse("spec-ctrl=no-rsb,verw").options.spec_ctrl == "no-rsb,verw");
    CHECK(parse("noreboot").options.spec_ctrl.empty());
    CHECK(parse("spec-ctrl=").notes.size() == 1);
}

TEST_CASE("command line: consoles")
{
    CHECK(parse("console=com1,vga").options.console_vga);
    CHECK_FALSE(parse("console=com1").options.console_vga);
    const Parsed none = parse("console=none");
    CHECK_FALSE(none.options.console_com1);
    CHECK_FALSE(none.options.console_vga);
    for (const char* bad : {"console=", "console=none,vga", "console=com2", "console=com1,,vga"})
        CHECK(parse(bad).notes.size() == 1);
}

TEST_CASE("command line: forms of dom0_mem")
{
    CHECK(parse("dom0_mem=524288").options.dom0_mem == 512ull << 20); // KiB without a unit
    CHECK(parse("dom0_mem=max:1G").options.dom0_mem == 1ull << 30);
    CHECK(parse("dom0_mem=min:256M,512M,max:1g").options.dom0_mem == 512ull << 20);
    CHECK(parse("dom0_mem=1T").options.dom0_mem == 1ull << 40);
    for (const char* bad : {"dom0_mem=", "dom0_mem=0", "dom0_mem=12Q", "dom0_mem=99999999999T",
                            "dom0_mem=max:", "dom0_mem=M"}) {
        INFO(bad);
        const Parsed p = parse(bad);
        CHECK(p.options.dom0_mem == 0);
        REQUIRE(p.notes.size() == 1);
        CHECK(p.notes[0].kind == Option_note::Kind::bad_value);
    }
}

TEST_CASE("command line: a bad value changes nothing and says what is expected")
{
    for (const char* bad : {"com1=1234567", "com1=9600,9n1", "com1=9600,8x1", "com1=9600,8n1,0",
                            "com1=9600,8n1,zz", "loglvl=loud", "loglvl=all/loud", "maxcpus=0",
                            "maxcpus=99999", "dom0_max_vcpus=x", "noreboot=maybe"}) {
        INFO(bad);
        const Parsed p = parse(bad);
        REQUIRE(p.notes.size() == 1);
        CHECK(p.notes[0].word == bad);
        CHECK_FALSE(p.notes[0].hint.empty());
        CHECK(p.options.com1.baud == 115200);
        CHECK(p.options.max_cpus == 0);
        CHECK_FALSE(p.options.no_reboot);
    }
    CHECK(parse("com1=auto").options.com1.baud == 0);
    CHECK(parse("com1=,,0x2e8").options.com1.port == 0x2e8);
    CHECK(parse("noreboot=no").options.no_reboot == false);
    for (const char* on :
         {"noreboot", "noreboot=1", "noreboot=yes", "noreboot=true", "noreboot=on", "noreboot=enable"})
        CHECK(parse(on).options.no_reboot);
    for (const char* off : {"0", "no", "false", "off", "disable"}) {
        const Parsed p = parse("noreboot noreboot=" + std::string(off));
        CHECK(p.notes.empty());
        CHECK_FALSE(p.options.no_reboot);
    }
}

TEST_CASE("command line: unknown options are named with the nearest one")
{
    const Parsed p = parse("dom0_men=1G logvl=all iommu=on");
    REQUIRE(p.notes.size() == 3);
    CHECK(p.notes[0].kind == Option_note::Kind::unknown);
    CHECK(p.notes[0].hint == "dom0_mem");
    CHECK(p.notes[1].hint == "loglvl");
    CHECK(p.notes[2].word == "iommu=on");
    CHECK(p.notes[2].hint.empty());
    CHECK(parse("con=vga").notes[0].hint == "console");
}

TEST_CASE("command line: what boot scripts for Xen add is passed over")
{
    CHECK(parse("placeholder no-real-mode edd=off noreboot").notes.empty());
}

TEST_CASE("command line: more mistakes than notes are kept lose nothing else")
{
    std::string text;
    for (int i = 0; i < 40; ++i)
        text += "zzzzzzzz" + std::to_string(i) + " ";
    const Parsed p = parse(text + "noreboot");
    CHECK(p.notes.size() == 16);
    CHECK(p.options.no_reboot);
}

TEST_CASE("command line: help fits into lines of the log, and the README has every option")
{
    static std::string readme;
    std::ifstream file(PLATFORM_README);
    REQUIRE(file);
    readme.assign(std::istreambuf_iterator<char>(file), {});
    for_each_option([](std::string_view name, std::string_view form, std::string_view meaning) {
        INFO(name);
        CHECK(name.size() + form.size() + meaning.size() < 300);
        CHECK(readme.find("\n| `" + std::string(name) + "` |") != std::string::npos);
    });
}

TEST_CASE("command line: random text is survived")
{
    std::mt19937 random(3);
    constexpr std::string_view alphabet = "cdnolvghm1_=,:/ 0xGMK\xff\x01";
    for (int i = 0; i < 20000; ++i) {
        std::string text;
        for (unsigned n = random() % 60; n > 0; --n)
            text += alphabet[random() % alphabet.size()];
        const Parsed p = parse(text);
        CHECK((p.options.com1.baud == 0 || 115200 % p.options.com1.baud == 0));
    }
}

TEST_CASE("numbers and sizes")
{
    CHECK(parse_number("0x3f8") == 0x3f8u);
    CHECK(parse_number("18446744073709551615") == ~0ull);
    CHECK_FALSE(parse_number("18446744073709551616"));
    CHECK_FALSE(parse_number(""));
    CHECK_FALSE(parse_number("0x"));
    CHECK_FALSE(parse_number("12a"));
    CHECK(parse_size("4096B") == 4096u);
    CHECK(parse_size("0x10") == 16u * 1024);
    CHECK_FALSE(parse_size("18446744073709551615K"));
}

TEST_CASE("edit distance")
{
    CHECK(edit_distance("", "") == 0);
    CHECK(edit_distance("abc", "abc") == 0);
    CHECK(edit_distance("abc", "") == 3);
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance("noreboot", "no-reboot") == 1);
    CHECK(edit_distance(std::string(100, 'a'), "a") == 31);
}

// SPDX-License-Identifier: Apache-2.0
#include "emul/absent_ports.hpp"

#include "debug/log.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace vmm;

namespace
{
std::vector<std::string> lines;
}

void vmm::log::write_guest(Level, std::string_view format, std::span<const Format_arg> args)
{
    char text[400];
    lines.emplace_back(format_to(text, format, args));
}

namespace
{

void say(u16 domain, std::string_view text)
{
    for (const char c : text) {
        u32 value = static_cast<u8>(c);
        absent_port(Domid(domain), {.port = 0xe9, .size = 1, .in = false, .string = false, .rep = false},
                    value);
    }
}

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("reads give all ones but for one port, writes go nowhere")
{
    u32 value = 0x1234;
    absent_port(Domid(1), {.port = 0x80, .size = 1, .in = false, .string = false, .rep = false}, value);
    CHECK(value == 0x1234);
    for (const u16 port : {0x21, 0x71, 0xe9, 0xcfc}) {
        value = 0;
        absent_port(Domid(1), {.port = port, .size = 4, .in = true, .string = false, .rep = false}, value);
        CHECK(value == 0xffffffff);
    }
    absent_port(Domid(1), {.port = 0x42, .size = 1, .in = true, .string = false, .rep = false}, value);
    CHECK(value == 0); // or Linux would go on reading it
    CHECK(lines.empty());
}

TEST_CASE("what a domain says on port 0xe9 comes out a line at a time")
{
    lines.clear();
    say(1, "Linux ver");
    say(2, "other\n");
    CHECK(lines == Lines{"d2: other"});
    say(1, "sion\r\n\n");
    CHECK(lines == Lines{"d2: other", "d1: Linux version"});
    say(1, "\tindented \x1b[31mred\n");
    CHECK(lines.back() == "d1:  indented [31mred");

    lines.clear();
    say(3, std::string(250, 'x') + "\n");
    CHECK(lines == Lines{"d3: " + std::string(120, 'x'), "d3: " + std::string(120, 'x'),
                         "d3: " + std::string(10, 'x')});
}

TEST_CASE("domains that share a buffer do not lose or mix their lines")
{
    lines.clear();
    say(5, "half");
    say(13, "whole\n");
    say(5, " line\n");
    CHECK(lines == Lines{"d5: half", "d13: whole", "d5:  line"});
}

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/syntax.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace vmm::config;

namespace
{

std::string show(const Value& value)
{
    if (const auto* text = std::get_if<std::string>(&value.what))
        return "<" + *text + ">";
    if (const auto* number = std::get_if<Number>(&value.what))
        return std::to_string(number->value);
    std::string list = "[";
    for (const auto& entry : std::get<std::vector<Value>>(value.what))
        list += show(entry) + " ";
    return list + "]";
}

// The whole result as one string: settings in order, or the error.
std::string read(std::string_view text, Source::Kind kind = Source::Kind::file)
{
    const auto settings =
        parse_settings({kind, kind == Source::Kind::file ? "a.cfg" : std::string{text}}, text);
    if (!settings)
        return settings.error().to_string();
    std::string all;
    for (const auto& setting : *settings)
        all += setting.key + (setting.kind == Setting::Kind::append ? "+=" : "=") + show(setting.value) + ";";
    return all;
}

} // namespace

TEST_CASE("Good configuration text")
{
    const auto [text, result] = GENERATE(table<std::string, std::string>({
        {"", ""},
        {"\n\n# only a comment", ""},
        {"name = 'a'", "name=<a>;"},
        {"name=\"a\"\n", "name=<a>;"},
        {"\xef\xbb\xbfname='a'", "name=<a>;"},
        {"a=1\r\nb=0x1F\r\nc=010", "a=1;b=31;c=8;"},
        {"a=0;b=18446744073709551615;;", "a=0;b=18446744073709551615;"},
        {"a = 1 # one\nb = '#2' # two", "a=1;b=<#2>;"},
        {"a = []", "a=[];"},
        {"a = [ 'x', \"y\", 3 ]", "a=[<x> <y> 3 ];"},
        {"a = [ 'x',\n  # why\n  'y',\n]\nb=1", "a=[<x> <y> ];b=1;"},
        {"a = [ ['x'], [1, [2]], ]", "a=[[<x> ] [1 [2 ] ] ];"},
        {"a += 'x'; a += ['y']", "a+=<x>;a+=[<y> ];"},
        {R"(a = "it's" ; b = 'say "x"')", "a=<it's>;b=<say \"x\">;"},
        {R"(a = "tab\t, \"q\", \\, \x41, \101\n")", "a=<tab\t, \"q\", \\, A, A\n>;"},
        {"_x1 = 'z\xc3\xa4'", "_x1=<z\xc3\xa4>;"},
    }));
    INFO(text);
    CHECK(read(text) == result);
}

TEST_CASE("Bad configuration text names the place and what was expected")
{
    const auto [text, message] = GENERATE(table<std::string, std::string>({
        {"name", "a.cfg:1:5: expected '=' after name, found the end"},
        {"\n\n  name\n= 1", "a.cfg:3:7: expected '=' after name, found the end of the line"},
        {"name 'a'", "a.cfg:1:6: expected '=' after name, found the string \"a\""},
        {"name = ", "a.cfg:1:8: expected a value (a number, \"text\" or a [list]), found the end"},
        {"name =\n'a'",
         "a.cfg:1:7: expected a value (a number, \"text\" or a [list]), found the end of the line"},
        {"name = demo",
         "a.cfg:1:8: expected a value (a number, \"text\" or a [list]), found 'demo'; text goes in quotes"},
        {"name = 'a", "a.cfg:1:8: expected a closing ' before the end of the line"},
        {"name = \"a\nb\"", "a.cfg:1:8: expected a closing \" before the end of the line"},
        {"memory = 256M", "a.cfg:1:10: expected a number (decimal, 0x hexadecimal or 0 octal), found '256M'; "
                          "text goes in quotes"},
        {"memory = 0x", "a.cfg:1:10: expected a number (decimal, 0x hexadecimal or 0 octal), found '0x'; "
                        "text goes in quotes"},
        {"memory = 08", "a.cfg:1:10: expected a number (decimal, 0x hexadecimal or 0 octal), found '08'; "
                        "text goes in quotes"},
        {"memory = -5", "a.cfg:1:10: unexpected '-'"},
        {"memory = 18446744073709551616",
         "a.cfg:1:10: the number 18446744073709551616 does not fit in 64 bits; text goes in quotes"},
        {"a = 1 b = 2", "a.cfg:1:7: expected the end of the line or ';' after the value of a, found 'b'"},
        {"a = 'x' 'y'",
         "a.cfg:1:9: expected the end of the line or ';' after the value of a, found the string \"y\""},
        {"5 = 1", "a.cfg:1:1: expected the name of a setting, found '5'"},
        {"= 1", "a.cfg:1:1: expected the name of a setting, found '='"},
        {"]", "a.cfg:1:1: expected the name of a setting, found ']'"},
        {"on-crash = 1",
         "a.cfg:1:1: expected the name of a setting (letters, digits and _), found 'on-crash'"},
        {"a = [ 1 2 ]", "a.cfg:1:9: expected ',' or ']' in the list opened at a.cfg:1:5, found '2'"},
        {"a = [ 1,\n 2", "a.cfg:2:3: expected ',' or ']' in the list opened at a.cfg:1:5, found the end"},
        {"a = [", "a.cfg:1:6: expected ']' to close the list opened at a.cfg:1:5, found the end"},
        {"a = [ , ]", "a.cfg:1:7: expected a value (a number, \"text\" or a [list]), found ','"},
        {"a = [[[[[[[[[1]]]]]]]]]", "a.cfg:1:13: lists are nested deeper than 8"},
        {"a = '\\q'", "a.cfg:1:6: unknown escape '\\q'; a backslash itself is written \\\\"},
        {"a = '\\x'", "a.cfg:1:6: unknown escape '\\x'; a backslash itself is written \\\\"},
        {"a = '\\0'", "a.cfg:1:6: the escape stands for no character (1 to 0xff)"},
        {"a = '\\777'", "a.cfg:1:6: the escape stands for no character (1 to 0xff)"},
        {"a = '\xc3\xa4\xe2\x82\xac' ?", "a.cfg:1:10: unexpected '?'"},
        {std::string("a = \0", 5), "a.cfg:1:5: unexpected byte 0x00"},
        {"a + 1", "a.cfg:1:3: unexpected '+'"},
    }));
    INFO(text);
    CHECK(read(text) == message);
}

TEST_CASE("An argument of the command line needs no quotes around text")
{
    const auto [text, result] = GENERATE(table<std::string, std::string>({
        {"memory=512", "memory=512;"},
        {"a=1;b='x'", "a=1;b=<x>;"},
        {"name=demo", "name=<demo>;"},
        {"kernel = /boot/vmlinuz 1 ", "kernel=</boot/vmlinuz 1>;"},
        {"extra=console=hvc0 quiet;x", "extra=<console=hvc0 quiet;x>;"},
        {"ramdisk=./initrd", "ramdisk=<./initrd>;"},
        {"cpus=['0','1']", "cpus=[<0> <1> ];"},
        {"memory", "memory, column 7: expected '=' after memory, found the end"},
        {"cpus=0-3", "cpus=0-3, column 6: expected a number (decimal, 0x hexadecimal or 0 octal), found "
                     "'0-3'; text goes in quotes"},
    }));
    INFO(text);
    CHECK(read(text, Source::Kind::argument) == result);
}

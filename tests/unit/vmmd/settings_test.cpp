// SPDX-License-Identifier: Apache-2.0
// Settings, names of domains, and being the only daemon.
#include "toolstack/vmmd/domain_table.hpp"
#include "toolstack/vmmd/pidfile.hpp"
#include "toolstack/vmmd/settings.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

using namespace vmm;

namespace
{

Result<Command_line> read(std::vector<std::string> words)
{
    words.insert(words.begin(), "vmmd");
    std::vector<char*> arguments;
    for (std::string& word : words) {
        arguments.push_back(word.data());
    }
    return read_settings(arguments);
}

std::string complaint(std::string_view text)
{
    Settings settings;
    const auto applied = apply_settings_text(settings, "vmmd.conf", text);
    return applied ? "" : applied.error().message;
}

} // namespace

TEST_CASE("the command line is stronger than the file")
{
    char name[]                 = "/tmp/vmmd-settings-XXXXXX";
    const std::string directory = mkdtemp(name);
    const std::string path      = directory + "/vmmd.conf";
    std::ofstream(path) << "socket = \"/a\"\nlog_level = \"debug\" # more\nconsole_log_kib = 64\n";
    const auto line = read({"--config", path, "--socket=/b", "--pidfile", "/p", "--background"});
    REQUIRE(line);
    CHECK(line->settings.socket == "/b");
    CHECK(line->settings.pidfile == "/p");
    CHECK(line->settings.log_level == "debug");
    CHECK(line->settings.console_log_kib == 64);
    CHECK(line->settings.background);
    std::filesystem::remove_all(directory);
}

TEST_CASE("what is wrong is named with its place")
{
    CHECK(complaint("sokcet = \"/a\"")
              .find("vmmd.conf:1:1: unknown key \"sokcet\"; did you mean \"socket\"?") == 0);
    CHECK(complaint("\nsocket = 5").find("vmmd.conf:2:10: socket: expected a string") == 0);
    CHECK(complaint("console_log_kib = 1").find("from 4 to") != std::string::npos);
    CHECK(complaint("socket = ").find("vmmd.conf:1") == 0);
    CHECK(complaint("log_level = \"loud\"").find("vmmd.conf:1:13: log_level: log level 'loud' is none of") ==
          0);
    CHECK(complaint("nat_address = \"10.76.0.0/24\"")
              .find("vmmd.conf:1:15: nat_address: \"10.76.0.0/24\": expected dom0's own IPv4 address") == 0);
    CHECK_FALSE(read({"--config", "/nowhere/vmmd.conf"}));
    CHECK_FALSE(read({"--socket"}));
    CHECK_FALSE(read({"--frobnicate"}));
    CHECK_FALSE(read({"--log-level=loud"}));
    CHECK(read({"--help"})->start == Start::help);
}

TEST_CASE("ids are plain numbers")
{
    CHECK(parse_domid("0") == kDom0);
    CHECK(parse_domid("32751") == Domid{32751});
    for (const char* text :
         {"", "-1", "+1", "01", "1x", "x", " 1", "32752", "65536", "99999999999999999999"}) {
        INFO(text);
        CHECK_FALSE(parse_domid(text));
    }
}

TEST_CASE("a second daemon is turned away and told who is there")
{
    char name[]                 = "/tmp/vmmd-pid-XXXXXX";
    const std::string directory = mkdtemp(name);
    {
        const auto first = lock_pidfile(directory + "/run/vmmd.pid");
        REQUIRE(first);
        const auto second = lock_pidfile(directory + "/run/vmmd.pid");
        REQUIRE_FALSE(second);
        CHECK(second.error().code == Errc::busy);
        CHECK(second.error().message.find(std::to_string(getpid())) != std::string::npos);
    }
    CHECK(lock_pidfile(directory + "/run/vmmd.pid")); // what a dead one left does not count
    std::filesystem::remove_all(directory);
}

TEST_CASE("nobody but root can open the pid file, and with it take the daemon's lock")
{
    char name[]                 = "/tmp/vmmd-pid-XXXXXX";
    const std::string directory = mkdtemp(name);
    const std::string path      = directory + "/vmmd.pid";
    SECTION("a new one") {}
    SECTION("one that everybody could read")
    {
        std::ofstream{path};
        std::filesystem::permissions(path, std::filesystem::perms{0644});
    }
    REQUIRE(lock_pidfile(path));
    CHECK(std::filesystem::status(path).permissions() == std::filesystem::perms{0600});
    std::filesystem::remove_all(directory);
}

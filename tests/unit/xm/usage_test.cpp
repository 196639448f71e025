// SPDX-License-Identifier: Apache-2.0
// What does not depend on a verb: dispatch, help, mistakes on the command line, and that manual and
// completion know every verb, option and key there is.
#include "fake_vmmd.hpp"
#include "toolstack/config/interpret.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>

using namespace vmm;
using test::Json;
using test::run_xm;

namespace
{

std::string read(const std::string& path)
{
    std::ifstream file{std::string{TOOLSTACK_FOLDER} + "/" + path};
    REQUIRE(file);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// What bash offers for the last of these words, in a world of two domains; the words are quoted already.
std::string completed(const std::string& words)
{
    const std::string script =
        ". \"$0\"; xm() { printf \"Name ID\\nDomain-0 0\\nweb 1\\n\"; }; COMP_WORDS=(\"$@\"); "
        "COMP_CWORD=$(($# - 1)); _xm; printf %s \"${COMPREPLY[*]}\"";
    const std::string command = "bash --norc -c '" + script + "' " TOOLSTACK_FOLDER "/completion/xm " + words;
    std::FILE* const shell    = ::popen(command.c_str(), "r");
    REQUIRE(shell != nullptr);
    std::string said;
    for (int c = std::fgetc(shell); c != EOF; c = std::fgetc(shell))
        said += static_cast<char>(c);
    CHECK(::pclose(shell) == 0);
    return said;
}

} // namespace

TEST_CASE("Without a command the commands are listed, and that is a mistake")
{
    const auto ran = run_xm({});
    CHECK(ran.exit == 2);
    for (const auto& command : xm::commands())
        CHECK(ran.out.find("  " + std::string{command.name} + " ") != std::string::npos);
    CHECK(run_xm({"help"}).exit == 0);
    CHECK(run_xm({"--help"}).out == ran.out);
    CHECK(Json::parse(run_xm({"help", "--json"}).out)["commands"].size() == xm::commands().size());
}

TEST_CASE("Every command has help of its own, both ways")
{
    for (const auto& command : xm::commands()) {
        const std::string name{command.name};
        const auto help = run_xm({"help", name});
        CHECK(help.exit == 0);
        CHECK(help.out.starts_with("Usage: xm " + name + " [OPTIONS]"));
        CHECK(help.out.find("--json") != std::string::npos);
        CHECK(run_xm({name, "--help"}).out == help.out);
    }
}

TEST_CASE("Mistakes on the command line name what is near or where to look")
{
    CHECK(run_xm({"lst"}).err == "xm: unknown command \"lst\": did you mean \"list\"?\n");
    CHECK(run_xm({"frobnicate"}).err == "xm: unknown command \"frobnicate\": 'xm help' lists them all\n");
    CHECK(run_xm({"help", "lst"}).err == "xm help: unknown command \"lst\": 'xm help' lists them all\n");
    CHECK(run_xm({"list", "--lng"}).err ==
          "xm list: unrecognised option '--lng'; 'xm help list' shows how\n");
    CHECK(run_xm({"list", "--lon"}).exit == 2); // no abbreviations
    CHECK(run_xm({"rename", "a"}).err == "xm rename: expected DOMAIN NAME; 'xm help rename' shows how\n");
    CHECK(run_xm({"info", "x"}).err == "xm info: too many words; 'xm help info' shows how\n");
    CHECK(run_xm({"shutdown", "-w", "-t", "soon", "a"}).exit == 2);
    CHECK(run_xm({"migrate", "a"}).err == "xm migrate: migrate needs a domain and a host\n");
    CHECK(run_xm({"migrate", "--to", "tcp:b:8003", "a", "b"}).err ==
          "xm migrate: migrate --to needs a domain and nothing else\n");
    CHECK(run_xm({"migrate", "--to", "tcp:b:8003", "-s", "ssh", "a"}).err ==
          "xm migrate: it is either --to or --ssh\n");
}

TEST_CASE("Without vmmd every verb that needs it says so")
{
    ::setenv("VMMD_SOCKET", "/nonexistent/s", 1);
    const auto ran = run_xm({"list"});
    CHECK(ran.exit == 5);
    CHECK(
        ran.err ==
        "xm list: vmmd is not running (no /nonexistent/s): start it with 'systemctl start vmmd' or 'vmmd'\n");
    const auto json = run_xm({"list", "--json"});
    CHECK(json.exit == 5);
    CHECK(Json::parse(json.err)["error"]["code"] == "no-vmmd");
    ::unsetenv("VMMD_SOCKET");
}

TEST_CASE("Output that cannot be written is an error")
{
    std::ofstream full{"/dev/full"};
    std::ostringstream err;
    xm::Io io{full, err};
    const std::string words[] = {"help"};
    CHECK(xm::run(words, io) == 1);
    CHECK(err.str() == "xm help: the output could not be written\n");
}

TEST_CASE("Manual and completion know every verb and option")
{
    const auto manual     = read("man/xm.1");
    const auto completion = read("completion/xm");
    for (const auto& command : xm::commands()) {
        INFO(command.name);
        CHECK(manual.find(".It Cm " + std::string{command.name}) != std::string::npos);
        CHECK(completion.find(command.name) != std::string::npos);
        const auto options = xm::options_of(command);
        for (const auto& option : options.options()) {
            INFO(option->long_name());
            CHECK(manual.find("Fl -" + option->long_name()) != std::string::npos);
            CHECK(completion.find("--" + option->long_name()) != std::string::npos);
        }
    }
}

TEST_CASE("An option takes a value where its command says so")
{
    CHECK(completed("xm shut") == "shutdown");
    for (const char* words : {"shutdown", "shutdown -w", "reboot -w", "shutdown -w -t 9", "migrate",
                              "migrate --compress none", "migrate -s ssh --live", "save -c"}) {
        INFO(words);
        CHECK(completed(std::string("xm ") + words + " ''") == "web");
    }
    for (const char* words : {"cpu-policy", "cpu-policy --with a", "cpu-policy -w a", "sched-credit -d",
                              "sched-credit2 --domain"}) {
        INFO(words);
        CHECK(completed(std::string("xm ") + words + " ''") == "Domain-0 web");
    }
    for (const char* words : {"shutdown -t", "migrate web", "migrate --to", "sched-credit -w",
                              "sched-credit -d web -c", "sched-credit --weight"}) {
        INFO(words);
        CHECK(completed(std::string("xm ") + words + " ''").empty());
    }
    const std::string folder{TOOLSTACK_FOLDER};
    for (const char* option : {"-w", "--with"})
        CHECK(completed("xm cpu-policy " + std::string(option) + " " + folder + "/complet") ==
              folder + "/completion");
}

TEST_CASE("The manual of the config file knows every key")
{
    const auto manual = read("man/xm.cfg.5");
    for (const auto key : config::known_keys()) {
        INFO(key);
        CHECK(manual.find(".It Ic " + std::string{key}) != std::string::npos);
    }
}

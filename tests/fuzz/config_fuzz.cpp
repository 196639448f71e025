// SPDX-License-Identifier: Apache-2.0
// Random and mutated configuration text through the whole way a file takes, under the sanitizers. Seeds are
// fixed, so a failure repeats; VMM_FUZZ_ROUNDS makes it longer. What must hold for any input: no fault, an
// error is one printable line with a place, and a config that is accepted is valid and survives the way
// through JSON unchanged.
#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/config/interpret.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>
#include <string>

using namespace vmm::config;

namespace
{

constexpr std::string_view kPieces[] = {
    "name",
    "kernel",
    "memory",
    "maxmem",
    "vcpus",
    "cpus",
    "cpus_soft",
    "cpu_weight",
    "cap",
    "pool",
    "on_crash",
    "uuid",
    "ms_vm_genid",
    "extra",
    "disk",
    "vnc",
    "type",
    "memry",
    "=",
    "+=",
    "[",
    "]",
    ",",
    ";",
    "\n",
    "#",
    "'",
    "\"",
    "\\",
    "\\x41",
    "\\777",
    " ",
    "\t",
    "\r\n",
    "0",
    "64",
    "0x40",
    "0100",
    "18446744073709551616",
    "'a'",
    "\"/k\"",
    "'pvh'",
    "'0-3,^1'",
    "'all'",
    "'destroy'",
    "'01234567-89ab-cdef-0123-456789abcdef'",
    "\xc3\xa4",
    "\xff",
    "name='a'\n",
    "kernel='/k'\n",
    "memory=64\n",
    "cpus=['0','1']\n",
    "vif=['nat']\n",
    "vif",
    "'mac=00:16:3e:01:02:03,bridge=br0'",
    "'script=route,ip=10.0.0.2,rate=1Mb/s@5ms'",
    "devid=1,",
    "[[[[[[[[[[",
    "disk=['/a,,xvda']\n",
    "'file:/a,xvdb,w'",
    "'vdev=hda,format=qcow2,target=/a'",
    "backendtype=",
    ":cdrom",
};

constexpr std::string_view kGood =
    "name = 'demo'\nkernel = \"/boot/vmlinuz\"\nextra = 'console=hvc0'\nmemory = 256\n"
    "vcpus = 2\ncpus = [ '0-3,^1', \"all\", ]\non_crash = 'restart'\nvif = [ 'bridge=br0,rate=1Mb/s', 'nat' "
    "]\ndisk = [ 'phy:/dev/x,xvda,r', 'format=vdi, vdev=d3p1, access=w!, target=/a,b' ]\n";

using Generator = std::mt19937_64;

std::size_t below(Generator& random, std::size_t bound) { return random() % bound; }

std::string assemble(Generator& random)
{
    std::string text;
    for (auto count = below(random, 24); count > 0; --count)
        text += kPieces[below(random, std::size(kPieces))];
    return text;
}

std::string mutate(Generator& random)
{
    std::string text{kGood};
    for (auto count = 1 + below(random, 6); count > 0; --count) {
        const auto at = below(random, text.size() + 1);
        switch (below(random, 3)) {
        case 0: text.insert(at, 1, static_cast<char>(random())); break;
        case 1: text.erase(at, below(random, 8)); break;
        default: text.insert(at, kPieces[below(random, std::size(kPieces))]); break;
        }
    }
    return text;
}

// True when the text was accepted.
bool drive(const std::string& text, Source::Kind kind)
{
    const auto check_line = [](const Diagnostic& diagnostic) {
        const auto line = diagnostic.message;
        REQUIRE_FALSE(line.empty());
        REQUIRE(line.find('\n') == std::string::npos);
    };
    const auto settings = parse_settings({kind, "fuzz"}, text);
    if (!settings) {
        check_line(settings.error());
        return false;
    }
    const auto result = interpret(*settings, "fuzz", "/");
    if (!result) {
        check_line(result.error());
        return false;
    }
    std::ranges::for_each(result->warnings, check_line);
    REQUIRE(validate(result->config));
    REQUIRE(from_json(Json::parse(to_json(result->config).dump())) == result->config);
    return true;
}

int rounds()
{
    const char* text = std::getenv("VMM_FUZZ_ROUNDS");
    return text != nullptr ? std::atoi(text) : 20000;
}

} // namespace

TEST_CASE("Any text is either a valid config or an error of one line")
{
    Generator random{20240229};
    int accepted = 0;
    for (int round = 0; round < rounds(); ++round) {
        const auto text = round % 2 == 0 ? mutate(random) : assemble(random);
        INFO("round " << round << ": " << text);
        accepted += drive(text, round % 7 == 0 ? Source::Kind::argument : Source::Kind::file) ? 1 : 0;
    }
    CHECK(accepted > 0); // otherwise the good half was never looked at
}

// SPDX-License-Identifier: Apache-2.0
// The process of the DHCP server, with a script in its place: whatever keeps it from running, it is tried
// again.
#include "network_sandbox.hpp"

#include "toolstack/net/dnsmasq.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sys/eventfd.h>
#include <sys/wait.h>

using namespace vmm;
using namespace vmm::net;
using namespace vmm::test;

namespace
{

const auto kGateway = config::Ip_network::parse("10.76.0.1/24").value();

struct World {
    World()
    {
        std::ofstream(program) << "#!/bin/sh\nexec sleep 60\n";
        std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    }
    ~World() { std::filesystem::remove_all(directory); }

    static std::string new_directory()
    {
        char name[] = "/tmp/vmm-dnsmasq-XXXXXX";
        return ::mkdtemp(name);
    }

    std::string directory            = new_directory();
    std::string program              = directory + "/program";
    std::unique_ptr<Event_loop> loop = Event_loop::create().value();
    Leases leases{kGateway};
    Dnsmasq dnsmasq{*loop, {program, directory, "vmm0", kGateway}};
};

} // namespace

TEST_CASE("a server that could not be started once is started later")
{
    World world;
    REQUIRE(world.dnsmasq.serve(world.leases));
    const auto first = world.dnsmasq.process();
    REQUIRE(first);
    std::filesystem::rename(world.program, world.program + ".away");
    REQUIRE(world.dnsmasq.serve(world.leases)); // another takes its place
    run_until(*world.loop, [&] { return !world.dnsmasq.process(); });
    std::filesystem::rename(world.program + ".away", world.program);
    run_until(*world.loop, [&] { return world.dnsmasq.process().has_value(); });
    CHECK(world.dnsmasq.process() != first);
}

TEST_CASE("a server whose end would not be heard of does not stay")
{
    while (::waitpid(-1, nullptr, 0) > 0) { // what was ended before
    }
    World world;
    int number = -1;
    {
        // The next descriptor gets its number, which the loop does not take a second time.
        const Unique_fd closed(::eventfd(0, EFD_CLOEXEC));
        number = closed.get();
        REQUIRE(world.loop->add(number, 0, [](std::uint32_t) {}));
    }
    const auto served = world.dnsmasq.serve(world.leases);
    REQUIRE_FALSE(served);
    CHECK(served.error().code == Errc::exists);
    CHECK_FALSE(world.dnsmasq.process());
    errno = 0;
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
    CHECK(errno == ECHILD);
    world.loop->remove(number);
    CHECK(world.dnsmasq.serve(world.leases));
    CHECK(world.dnsmasq.process());
}

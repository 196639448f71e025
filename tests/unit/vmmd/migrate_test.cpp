// SPDX-License-Identifier: Apache-2.0
// Domains to another host while they run: two daemons, a connection between them, and all that may happen to
// it. Whatever does, one of them runs the domain and the other has nothing of it.
#include "fake_kernel.hpp"
#include "image_disks.hpp"
#include "two_hosts.hpp"

#include <xen/grant_table.h>
#include <xen/xen.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

using namespace vmm;
using namespace vmm::test;
using control::Code;
using control::Json;

namespace
{

// With a disk that is a file which both hosts have.
struct Hosts_with_disk : Two_hosts {
    Hosts_with_disk()
    {
        std::ofstream(image) << std::string(4096, 'x');
        set_disk(source, id, "vdev=xvda, target=" + image);
        target.devices->add(disks);
        kernel = std::make_unique<Fake_kernel>(*target.store);
    }
    ~Hosts_with_disk() { kernel.reset(); }

    static void set_disk(Daemon_fixture& daemon, Domid id, const std::string& text)
    {
        config::Domain_config config = daemon.supervisor->domains().find(id)->config;
        config.disks                 = {*config::parse_disk(text)};
        daemon.supervisor->set_config(id, config);
    }
    void lose_image() const { std::filesystem::remove(image); }

    std::string image = source.directory + "/a.img";
    Image_disks disks;
    std::unique_ptr<Fake_kernel> kernel;
};

// With a disk here whose ring has a request that is not answered.
struct Hosts_with_ring : Two_hosts {
    static constexpr std::uint32_t kGrant = 9;
    static constexpr std::uint64_t kRing  = 0x321;

    Hosts_with_ring()
    {
        source.devices->add(disks);
        kernel = std::make_unique<Fake_kernel>(*source.store);
        source.devices->plug({{disk, "disk"}}, [](const Result<void>& plugged) { REQUIRE(plugged); });
        source.run_until([&] { return source.node(disk.backend_path() + "/state") == "2"; });
        kernel->guest_connects(disk);
        source.run_until([&] { return source.node(disk.backend_path() + "/state") == "4"; });
        set_grant(GTF_permit_access);
        std::atomic_ref(indexes()[0]).store(7); // asked
        std::atomic_ref(indexes()[2]).store(6); // answered
    }
    ~Hosts_with_ring() { kernel.reset(); }

    void set_grant(std::uint16_t flags)
    {
        grant_entry_v1 entry{};
        entry.flags = flags;
        entry.frame = kRing;
        std::memcpy(domain().grant_table.data() + kGrant * sizeof entry, &entry, sizeof entry);
    }
    void tell(const std::string& node, unsigned value)
    {
        source.store->write(disk.frontend_path() + "/" + node, std::to_string(value)).value();
    }
    std::uint32_t* indexes() { return reinterpret_cast<std::uint32_t*>(domain().memory + kRing * kPageSize); }

    device::Address disk{id, "vbd", 51712};
    Image_disks disks;
    std::unique_ptr<Fake_kernel> kernel;
};

} // namespace

TEST_CASE("a domain that was moved is there what it was here, and here it is gone")
{
    Two_hosts hosts;
    // Each time that is looked, the guest has written, cleared a page, and given one back or taken it again.
    unsigned looks                  = 0;
    hosts.domain().before_log_taken = [&, &domain = hosts.domain()] {
        ++looks;
        std::memset(domain.memory + 0x400000 + looks * 0x3000, static_cast<int>(looks), 5000);
        std::memset(domain.memory + 0x1235000, 0, kPageSize);
        domain.written = {0x400 + looks * 3, 0x401 + looks * 3, 0x402 + looks * 3, 0x1235, 0x700, 0x701};
        if (looks == 1) {
            domain.release(0x700);
            domain.release(0x701);
            hosts.source.hypervisor.free_pages += 2;
        } else if (!domain.has(0x700)) {
            domain.populated_4k.insert(0x700);
            hosts.source.hypervisor.free_pages -= 1;
        }
    };
    hosts.begin();
    hosts.wait_for_request();
    hosts.guest_suspends();
    const auto source_memory  = hosts.domain().space;
    const auto source_context = hosts.domain().context;
    std::byte* const before   = hosts.domain().memory;
    hosts.finish();
    const Domid now = hosts.check_runs_there();
    REQUIRE(hosts.moved->got->has_value());
    CHECK((*hosts.moved->got)->at("bytes").get<std::uint64_t>() < kMemory / 2); // zeros cost nothing
    CHECK(looks >= 2);
    const Fake_domain& there = hosts.target.hypervisor.domain(now);
    CHECK(there.context == source_context);
    CHECK(there.has(0x700));
    CHECK_FALSE(there.has(0x701));
    CHECK(std::memcmp(there.memory, before, kMemory) == 0);
    CHECK(there.populated_2m.size() >= 14); // large pages wherever they can be
    hosts.source.check_nothing_left(hosts.source_empty);
}

TEST_CASE("what would change a domain on its way is refused until it has arrived or stays")
{
    Two_hosts hosts;
    const std::vector<std::pair<std::string, Json>> changes{
        {"rename", {{"domain", "a"}, {"name", "b"}}},
        {"pause", {{"domain", "a"}}},
        {"mem-set", {{"domain", "a"}, {"kib", 20 << 10}}},
        {"mem-max", {{"domain", "a"}, {"kib", 24 << 10}}},
        {"vcpu-pin", {{"domain", "a"}, {"hard", "0"}}},
        {"vcpu-set", {{"domain", "a"}, {"count", 1}}},
        {"sched-set", {{"domain", "a"}, {"weight", 300}}},
        {"pool-move", {{"domain", "a"}, {"pool", "Pool-0"}}},
        {"device-attach", {{"domain", "a"}, {"type", "disk"}, {"spec", "vdev=xvda, target=/srv/a.img"}}},
        {"device-detach", {{"domain", "a"}, {"type", "disk"}, {"device", "xvda"}}},
    };
    hosts.begin();
    hosts.wait_for_request();
    for (const auto& [op, args] : changes) {
        INFO(op);
        const auto changed = hosts.source.perform(op, args);
        REQUIRE_FALSE(changed.has_value());
        CHECK(changed.error().code == Code::bad_state);
        CHECK(changed.error().message.find("is being moved to another host") != std::string::npos);
    }
    hosts.cut();
    hosts.guest_suspends();
    hosts.finish();
    hosts.check_runs_here();
    CHECK(hosts.source.perform("mem-set", {{"domain", "a"}, {"kib", 20 << 10}}).has_value());
    CHECK(hosts.source.perform("rename", {{"domain", "a"}, {"name", "b"}}).has_value());
}

TEST_CASE("what its disks have not answered yet they answer before it is gone")
{
    Hosts_with_ring hosts;
    SECTION("over a ring of one page") { hosts.tell("ring-ref", Hosts_with_ring::kGrant); }
    SECTION("of one page, as others say it") { hosts.tell("ring-ref0", Hosts_with_ring::kGrant); }
    SECTION("of several pages")
    {
        hosts.tell("ring-page-order", 1);
        hosts.tell("ring-ref0", Hosts_with_ring::kGrant);
    }
    SECTION("over several rings")
    {
        hosts.tell("multi-queue-num-queues", 2);
        hosts.tell("queue-1/ring-ref", Hosts_with_ring::kGrant);
        hosts.tell("queue-0/event-channel", 3);
    }
    SECTION("while its guest is asked to let go")
    {
        hosts.tell("ring-ref", Hosts_with_ring::kGrant);
        hosts.kernel->guest_lets_go = false;
        hosts.source.store->write(hosts.disk.backend_path() + "/state", "5").value();
    }
    hosts.begin();
    hosts.guest_suspends();
    const auto later = Event_loop::Clock::now() + std::chrono::milliseconds(200);
    hosts.run_until([&] { return hosts.received->got || Event_loop::Clock::now() > later; });
    CHECK_FALSE(hosts.received->got.has_value());
    std::atomic_ref(hosts.indexes()[2]).store(7);
    hosts.finish();
    hosts.check_runs_there();
}

TEST_CASE("a ring that its disk has no more is not waited for")
{
    Hosts_with_ring hosts;
    SECTION("its grant has ended")
    {
        hosts.tell("ring-ref", Hosts_with_ring::kGrant);
        hosts.set_grant(0);
    }
    SECTION("the disk was closed")
    {
        hosts.tell("ring-ref", Hosts_with_ring::kGrant);
        hosts.kernel->guest_releases(hosts.disk);
        hosts.source.run_until(
            [&] { return hosts.source.node(hosts.disk.backend_path() + "/state") == "6"; });
    }
    SECTION("it has one of several pages now")
    {
        hosts.tell("ring-ref", Hosts_with_ring::kGrant);
        hosts.tell("ring-page-order", 1);
    }
    SECTION("it has several now")
    {
        hosts.tell("ring-ref", Hosts_with_ring::kGrant);
        hosts.tell("multi-queue-num-queues", 2);
    }
    SECTION("it had more once")
    {
        hosts.tell("queue-1/ring-ref", Hosts_with_ring::kGrant);
        hosts.tell("multi-queue-num-queues", 1);
    }
    hosts.begin();
    hosts.source_end.reset(); // as xm does: the connection is vmmd's
    hosts.guest_suspends();
    hosts.finish();
    hosts.check_runs_there();
}

TEST_CASE("what the other host refuses it refuses before the domain is asked for anything")
{
    Two_hosts hosts;
    std::string why;
    SECTION("the name is taken")
    {
        hosts.target.create("a");
        why = "already called \"a\"";
    }
    SECTION("too little memory")
    {
        hosts.target.hypervisor.free_pages = 1000;
        why                                = "memory";
    }
    hosts.target_free = hosts.target.hypervisor.free_pages;
    hosts.begin();
    hosts.finish();
    REQUIRE_FALSE(hosts.moved->got->has_value());
    CHECK(hosts.moved->got->error().message.find("there: ") != std::string::npos);
    CHECK(hosts.moved->got->error().message.find(why) != std::string::npos);
    CHECK(hosts.request().empty());
    CHECK_FALSE(hosts.domain().info.shutdown);
    CHECK(hosts.target.hypervisor.free_pages == hosts.target_free);
}

TEST_CASE("a connection that is cut before the word leaves the domain here")
{
    Two_hosts hosts;
    SECTION("at once")
    {
        hosts.cut();
        hosts.begin();
    }
    SECTION("while memory is copied")
    {
        hosts.domain().before_log_taken = [&] { hosts.cut(); };
        hosts.begin();
    }
    SECTION("while the guest suspends")
    {
        hosts.begin();
        hosts.wait_for_request();
        hosts.cut();
        hosts.guest_suspends();
    }
    SECTION("while it stands still")
    {
        hosts.begin();
        hosts.wait_for_request();
        hosts.domain().before_log_taken = [&] { hosts.cut(); };
        hosts.guest_suspends();
    }
    // It may have been asked to suspend before anybody noticed.
    hosts.run_until([&] { return hosts.moved->got || hosts.request() == "suspend"; });
    if (!hosts.moved->got && !hosts.domain().info.shutdown) {
        hosts.guest_suspends();
    }
    hosts.finish();
    hosts.check_runs_here();
}

TEST_CASE("whoever asked goes, or what fails at either end: it runs on here")
{
    Two_hosts hosts;
    SECTION("the source's client goes while memory is copied")
    {
        hosts.domain().before_log_taken = [&] { std::this_thread::sleep_for(std::chrono::milliseconds(50)); };
        hosts.begin();
        hosts.source_end.reset(); // as xm does: the connection is vmmd's
        hosts.run_until([&] { return hosts.domain().logs_writes; });
        hosts.moved->cancel();
    }
    SECTION("the source's client goes while the guest is asked")
    {
        hosts.begin();
        hosts.source_end.reset(); // as xm does: the connection is vmmd's
        hosts.wait_for_request();
        hosts.moved->cancel();
        CHECK(hosts.request().empty());
    }
    SECTION("the target's client goes")
    {
        hosts.begin();
        hosts.source_end.reset(); // as xm does: the connection is vmmd's
        hosts.wait_for_request();
        hosts.received->cancel();
        hosts.guest_suspends();
    }
    SECTION("the target cannot take its processors")
    {
        hosts.target.hypervisor.order_failure("set_context", Errc::invalid);
        hosts.begin();
        hosts.source_end.reset(); // as xm does: the connection is vmmd's
        hosts.guest_suspends();
    }
    SECTION("the target runs out of memory")
    {
        hosts.target.hypervisor.order_failure("populate", Errc::out_of_memory, 2);
        hosts.begin();
        hosts.source_end.reset(); // as xm does: the connection is vmmd's
    }
    SECTION("the source cannot read its processors")
    {
        hosts.begin();
        hosts.source_end.reset(); // as xm does: the connection is vmmd's
        hosts.source.hypervisor.order_failure("context", Errc::io);
        hosts.guest_suspends();
    }
    hosts.finish();
    hosts.check_runs_here();
}

TEST_CASE("an answer that is lost after the word: it stands still here, until somebody who knows decides")
{
    Two_hosts hosts;
    hosts.begin();
    hosts.guest_suspends();
    // The source hears nothing any more, and does not know that the target has heard it.
    hosts.run_until(
        [&] { return hosts.moved->got || hosts.phase() == "handing over" || hosts.received->got; });
    ::shutdown(hosts.source_end.get(), SHUT_RD);
    hosts.finish();
    const Domid now = hosts.check_runs_there();
    if (*hosts.moved->got) {
        return; // the answer was faster
    }
    CHECK(hosts.moved->got->error().message.find("take-back") != std::string::npos);
    CHECK(hosts.domain().info.shutdown == Shutdown_reason::suspend);
    hosts.source.restart();
    CHECK(hosts.domain().info.shutdown == Shutdown_reason::suspend); // nobody lets it run by himself
    REQUIRE(hosts.target.perform("destroy", {{"domain", to_string(now)}}).has_value());
    REQUIRE(hosts.source.perform("take-back", {{"domain", "a"}}).has_value());
    CHECK_FALSE(hosts.domain().info.shutdown);
    CHECK_FALSE(hosts.source.perform("take-back", {{"domain", "a"}}).has_value());
}

TEST_CASE("a target that ends before the word leaves nothing, and the next one finds nothing")
{
    Two_hosts hosts;
    hosts.begin();
    hosts.wait_for_request();
    hosts.target.restart();
    hosts.guest_suspends();
    hosts.run_until([&] { return hosts.moved->got.has_value(); });
    REQUIRE_FALSE(hosts.moved->got->has_value());
    CHECK_FALSE(hosts.domain().info.shutdown);
    hosts.target.check_nothing_left(hosts.target_free);
}

TEST_CASE("what lies in the page cache of a disk is written out here and forgotten there")
{
    Hosts_with_disk hosts;
    hosts.begin();
    hosts.guest_suspends();
    hosts.finish();
    hosts.check_runs_there();
}

TEST_CASE("a disk that cannot be written out, or forgotten there: it runs on here")
{
    Hosts_with_disk hosts;
    std::string why = "disk xvda: " + hosts.image + " cannot be opened";
    hosts.begin();
    hosts.source_end.reset(); // as xm does: the connection is vmmd's
    hosts.wait_for_request();
    SECTION("here") { hosts.lose_image(); }
    SECTION("there")
    {
        hosts.domain().before_log_taken = [&] { hosts.lose_image(); }; // it has been written out
        why                             = "there: " + why;
    }
    hosts.guest_suspends();
    hosts.finish();
    hosts.check_runs_here();
    CHECK(hosts.moved->got->error().message.find(why) != std::string::npos);
}

TEST_CASE("disks that one host at a time can have open stay where they are")
{
    Daemon_fixture daemon;
    const Domid id         = daemon.create("a");
    const auto [disk, why] = GENERATE(table<const char*, const char*>({
        {"vdev=xvda, format=qcow2, target=/srv/a.qcow2", "xvda is a qcow2 image"},
        {"vdev=xvda, backendtype=phy, target=/srv/a.img", "xvda may go through this host's page cache"},
    }));
    Hosts_with_disk::set_disk(daemon, id, disk);
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    std::optional<Answer> got;
    daemon.operations->perform("migrate", {{"domain", "a"}, {"peer", "there"}},
                               {[&](Answer a) { got = std::move(a); }, [] { return true; },
                                [&] {
                                    std::vector<Unique_fd> both;
                                    both.emplace_back(ends[0]);
                                    both.emplace_back(ends[1]);
                                    return both;
                                }});
    REQUIRE(got.has_value());
    REQUIRE_FALSE(got->has_value());
    CHECK(got->error().message.find(why) != std::string::npos);
}

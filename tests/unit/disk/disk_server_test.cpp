// SPDX-License-Identifier: Apache-2.0
// The programs that serve a disk, with scripts in their place: started in order, started again, found by a
// successor.
#include "disk_fixture.hpp"
#include "toolstack/disk/disk_server.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <sys/wait.h>

using namespace vmm;
using namespace vmm::disk;
using namespace vmm::test;
using namespace std::chrono_literals;
using device::Json;

namespace
{

const device::Address kXvda{Domid{3}, "vbd", 51712, "vmmblk"};

// Notes how it was called, shows that it has opened the disk, and waits to be ended, or for the end of the
// test.
constexpr const char* kServes = "#!/bin/sh\n"
                                "echo \"$0 $*\" >> ${0%/*}/calls\n"
                                "for word in \"$@\"; do\n"
                                "    case $word in --pid-file=*) : > ${word#--pid-file=} ;; esac\n"
                                "    [ \"$last\" != --log ] || : > $word\n"
                                "    last=$word\n"
                                "done\n"
                                "while [ -e $0 ]; do sleep 0.05; done\n";
constexpr const char* kFails  = "#!/bin/sh\nexit 1\n";

struct World : Disk_fixture {
    World()
    {
        programs.blkback  = script("blkback", kServes);
        programs.nbd      = script("nbd", kServes);
        programs.folder   = directory + "/run";
        programs.patience = 3s;
        programs.pause    = 10ms;
    }
    std::string script(const std::string& name, const char* text)
    {
        const std::string path = directory + "/" + name;
        std::ofstream(path) << text;
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
        return path;
    }
    std::unique_ptr<Disk_server> server(const std::string& text)
    {
        return std::make_unique<Disk_server>(*loop, programs, kXvda, disk(text),
                                             [this](Json record) { noted = record; });
    }
    std::string open(Disk_server& server)
    {
        std::optional<Result<void>> got;
        server.open([&](Result<void> result) { got = std::move(result); });
        run_until([&] { return got.has_value(); });
        return *got ? "" : got->error().message;
    }
    void close(Disk_server& server)
    {
        bool done = false;
        for (const char* which : {"blkback", "nbd"}) {
            if (const int pid = noted.value(which, 0); pid > 0) {
                kill(pid, SIGKILL);
            }
        }
        server.close([&] { done = true; });
        run_until([&] { return done; });
    }
    [[nodiscard]] std::string calls() const
    {
        std::ostringstream text;
        text << std::ifstream(directory + "/calls").rdbuf();
        return text.str();
    }

    Server_programs programs;
    Json noted = Json::object();
};

} // namespace

TEST_CASE("a raw image has a vmm-blkback")
{
    World world;
    world.image("a.img");
    const auto server = world.server("%/a.img,raw,xvda,r");
    CHECK(world.open(*server).empty());
    CHECK_THAT(world.calls(), Catch::Contains("--read-only 3 /local/domain/0/backend/vmmblk/3/51712 ") &&
                                  Catch::Contains("/a.img\n"));
    CHECK(world.noted.at("blkback").get<int>() > 0);
    CHECK(world.noted.at("nbd") == 0);
    world.close(*server);
    CHECK(std::filesystem::is_empty(world.programs.folder));
}

TEST_CASE("another format has a qemu-nbd before it")
{
    World world;
    world.image("a.qcow2");
    const auto server = world.server("%/a.qcow2,qcow2,xvda,w");
    CHECK(world.open(*server).empty());
    const std::string calls = world.calls();
    const auto nbd          = calls.find("--format qcow2");
    CHECK(nbd != calls.npos);
    CHECK(calls.find("nbd+unix:///?socket=") > nbd);
    CHECK(world.noted.at("nbd").get<int>() > 0);
    world.close(*server);
    CHECK(std::filesystem::is_empty(world.programs.folder));
}

TEST_CASE("the key of an encrypted image is named, not shown")
{
    World world;
    world.image("a,b.img");
    std::ofstream(world.directory + "/key") << "a passphrase";
    const auto disk = GENERATE(
        table<std::string, std::string>({{"luks", "driver=luks,key-secret=key,file.filename="},
                                         {"qcow2", "driver=qcow2,encrypt.key-secret=key,file.filename="}}));
    const std::string key = ", key-file=" + world.directory + "/key";
    const auto server =
        world.server("format=" + std::get<0>(disk) + ", vdev=xvda" + key + ", target=%/a,b.img");
    CHECK(world.open(*server).empty());
    CHECK_THAT(world.calls(),
               Catch::Contains("--object=secret,id=key,file=" + world.directory + "/key --image-opts"));
    CHECK_THAT(world.calls(), Catch::Contains(std::get<1>(disk) + world.directory + "/a,,b.img\n"));
    CHECK(world.calls().find("passphrase") == std::string::npos);
    world.close(*server);
}

TEST_CASE("an image grows while nothing has it open")
{
    World world;
    world.image("a.qcow2");
    const auto server = world.server("%/a.qcow2,qcow2,xvda,w");
    REQUIRE(world.open(*server).empty());
    const Json first = world.noted;
    // qemu-nbd ends with its client.
    world.programs.img =
        world.script("img", ("#!/bin/sh\nif kill -0 " + std::to_string(first.at("blkback").get<int>()) +
                             "; then echo too early; fi >> ${0%/*}/calls\necho \"img $*\" >> ${0%/*}/calls\n"
                             "case $* in *3145728) echo 'qemu-img: no' >&2; exit 1 ;; esac\n")
                                .c_str());
    std::optional<Result<void>> grown;
    const auto grow = [&](std::uint64_t bytes) {
        grown.reset();
        const Json before = world.noted;
        server->grow(bytes, [&](Result<void> result) { grown = std::move(result); });
        kill(before.at("nbd").get<int>(), SIGKILL);
        world.run_until([&] {
            return grown.has_value() && world.noted != before && world.noted["blkback"] != before["blkback"];
        });
    };
    grow(2U << 20);
    CHECK(grown->has_value());
    CHECK_THAT(world.calls(),
               Catch::Contains("img resize -q -f qcow2 -- " + world.directory + "/a.qcow2 2097152\n"));
    CHECK(world.calls().find("too early") == std::string::npos);
    grow(3U << 20);
    REQUIRE_FALSE(grown->has_value());
    CHECK_THAT(grown->error().message, Catch::EndsWith("/a.qcow2: qemu-img says: no"));
    world.close(*server);
}

TEST_CASE("work on an image is done while nothing has it open, one piece after the other")
{
    World world;
    world.image("a.qcow2");
    const auto server = world.server("%/a.qcow2,qcow2,xvda,w");
    REQUIRE(world.open(*server).empty());
    unsigned works = 0;
    std::vector<Result<void>> done;
    const auto closed = [&](Result<void> outcome) {
        server->while_closed(
            [&, outcome](const device::Done& back) {
                for (const char* const which : {"blkback", "nbd"}) {
                    CHECK(kill(world.noted.at(which).get<int>(), 0) != 0);
                }
                ++works;
                back(outcome);
            },
            [&](Result<void> result) { done.push_back(std::move(result)); });
    };
    const auto nbd_ends = [&](std::size_t pieces) {
        const Json before = world.noted;
        const auto ended  = [&] { return kill(before.at("blkback").get<int>(), 0) != 0; };
        world.run_until(ended);
        kill(before.at("nbd").get<int>(), SIGKILL);
        world.run_until([&] { return done.size() == pieces && world.noted["blkback"] != before["blkback"]; });
    };
    closed({});
    nbd_ends(1);
    closed(fail(Errc::io, "no")); // while its programs are still on their way
    nbd_ends(2);
    CHECK(works == 2);
    CHECK(done[0]);
    CHECK(done[1].error().message == "no");
    const auto goes_on_with = [&](const std::string& answer_to_term) {
        const std::string ready = world.directory + "/ready";
        // By another name: the one that runs may just be reading the old script.
        world.programs.blkback = world.script("deaf", ("#!/bin/sh\ntrap '" + answer_to_term + "' TERM\n: > " +
                                                       ready + "\n" + std::strstr(kServes, "echo"))
                                                          .c_str());
        closed({});
        nbd_ends(3);
        world.run_until([&] { return std::filesystem::exists(ready); });
    };
    SECTION("not when what was written cannot all be in the image; then it is served on")
    {
        goes_on_with("echo No space left > " + world.directory + "/run/3-51712.words");
        const Json before = world.noted;
        for (std::size_t i = 3; i < 5; ++i) { // as often as it is asked for
            closed({});
            world.run_until([&] { return done.size() == i + 1; });
            CHECK_THAT(done[i].error().message, Catch::EndsWith("vmm-blkback says: No space left"));
        }
        CHECK(works == 3);
        CHECK(world.noted == before);
        for (const char* const which : {"blkback", "nbd"}) {
            CHECK(kill(before.at(which).get<int>(), 0) == 0);
        }
    }
    SECTION("not when it does not end")
    {
        goes_on_with(":");
        const Json before = world.noted;
        closed({});
        world.run_until([&] { return done.size() == 4; });
        CHECK_THAT(done[3].error().message, Catch::EndsWith("vmm-blkback does not end"));
        CHECK(works == 3);
        kill(before.at("blkback").get<int>(), SIGKILL); // it ends after all, and there is another
        kill(before.at("nbd").get<int>(), SIGKILL);
        world.run_until([&] { return world.noted["blkback"] != before["blkback"]; });
    }
    SECTION("not when a qemu-nbd had to be killed")
    {
        closed({});
        world.run_until([&] { return done.size() == 3; });
        CHECK(works == 2);
        CHECK_THAT(done[2].error().message, Catch::EndsWith("qemu-nbd does not end"));
    }
    world.close(*server);
}

TEST_CASE("what cannot be started or opened is told")
{
    World world;
    world.image("a.img");
    SECTION("vmm-blkback fails")
    {
        world.script("blkback", kFails);
        const auto server = world.server("%/a.img,raw,xvda,w");
        CHECK_THAT(world.open(*server), Catch::Contains("vmm-blkback cannot serve"));
        world.close(*server);
    }
    SECTION("qemu-nbd fails")
    {
        world.script("nbd", kFails);
        const auto server = world.server("%/a.img,qcow2,xvda,w");
        CHECK_THAT(world.open(*server),
                   Catch::Contains("qemu-nbd cannot open") && Catch::Contains("as qcow2"));
        world.close(*server);
    }
    SECTION("with what qemu-nbd says of it")
    {
        world.script("nbd", "#!/bin/sh\necho 'qemu-nbd: no such thing' >&2\nexit 1\n");
        const auto server = world.server("%/a.img,qcow2,xvda,w");
        CHECK_THAT(world.open(*server), Catch::EndsWith("/a.img: qemu-nbd says: no such thing"));
        world.close(*server);
    }
    SECTION("with what vmm-blkback says of it")
    {
        world.script("blkback", "#!/bin/sh\nwhile [ $1 != --last-words ]; do shift; done\n"
                                "echo 'it is in use' > $2\nexit 1\n");
        const auto server = world.server("%/a.img,raw,xvda,w");
        CHECK_THAT(world.open(*server), Catch::EndsWith("/a.img: it is in use"));
        world.close(*server);
    }
    SECTION("there is no qemu-nbd")
    {
        world.programs.nbd = "/none/qemu-nbd";
        const auto server  = world.server("%/a.img,qcow2,xvda,w");
        CHECK_THAT(world.open(*server), Catch::Contains("install qemu-utils"));
        world.close(*server);
    }
}

TEST_CASE("one that is killed is started again, also for a successor")
{
    World world;
    world.image("a.img");
    auto server = world.server("%/a.img,raw,xvda,w");
    REQUIRE(world.open(*server).empty());
    const Json first = world.noted;
    SECTION("by the vmmd that started it")
    {
        kill(first.at("blkback").get<int>(), SIGKILL);
        world.run_until([&] { return world.noted != first; });
    }
    SECTION("while its successor follows it")
    {
        server = world.server("%/a.img,raw,xvda,w");
        server->adopt(first);
        kill(first.at("blkback").get<int>(), SIGKILL);
        world.run_until([&] { return world.noted != first; });
    }
    SECTION("that it was killed before the successor came")
    {
        server.reset();
        kill(first.at("blkback").get<int>(), SIGKILL);
        waitpid(first.at("blkback").get<int>(), nullptr, 0);
        server = world.server("%/a.img,raw,xvda,w");
        server->adopt(first);
        world.run_until([&] { return world.noted != first; });
    }
    world.close(*server);
}

TEST_CASE("a qemu-nbd that still writes is waited for before there is another")
{
    World world;
    world.image("a.qcow2");
    world.programs.nbd = world.script("slow", (std::string("#!/bin/sh\ntrap 'trap \"\" TERM; sleep 2.5; "
                                                           "echo written >> ${0%/*}/calls; exit 0' TERM\n") +
                                               std::strstr(kServes, "echo"))
                                                  .c_str());
    const auto server  = world.server("%/a.qcow2,qcow2,xvda,w");
    REQUIRE(world.open(*server).empty());
    const Json first        = world.noted;
    world.programs.patience = 1s;
    kill(first.at("blkback").get<int>(), SIGKILL);
    world.run_until([&] { return world.noted["blkback"] != first["blkback"]; });
    const std::string calls = world.calls();
    CHECK(calls.find("written\n") < calls.rfind("slow --socket"));
    CHECK(calls.find("slow --socket") < calls.find("written\n"));
    world.close(*server);
}

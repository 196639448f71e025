// SPDX-License-Identifier: Apache-2.0
#include "network_sandbox.hpp"

#include "toolstack/net/hotplug_script.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <optional>

using namespace vmm;
using namespace vmm::net;
using namespace vmm::test;

namespace
{

struct Scripts {
    Scripts()
    {
        char name[] = "/tmp/vmm-script-XXXXXX";
        directory   = ::mkdtemp(name);
    }
    ~Scripts() { std::filesystem::remove_all(directory); }

    std::string outcome(const std::string& body, Event_loop::Duration limit = std::chrono::seconds(20))
    {
        const std::string path = directory + "/script";
        std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
        std::filesystem::permissions(path, std::filesystem::perms(0755));
        return call({path, "online", "vif3.0", "/local/domain/0/backend/vif/3/0"}, limit);
    }
    std::string call(const Hotplug_scripts::Call& call, Event_loop::Duration limit)
    {
        Hotplug_scripts scripts(*loop, limit);
        std::optional<Result<void>> result;
        scripts.run(call, [&](Result<void> ended) { result = std::move(ended); });
        run_until(*loop, [&] { return result.has_value(); });
        return *result ? "good" : result->error().message;
    }

    std::string directory;
    std::unique_ptr<Event_loop> loop = Event_loop::create().value();
};

} // namespace

TEST_CASE("A script is told what Xen's scripts are told")
{
    Scripts scripts;
    const std::string seen = scripts.directory + "/seen";
    CHECK(
        scripts.outcome("echo \"$*|$vif|$INTERFACE|$XENBUS_TYPE|$XENBUS_PATH|$XENBUS_BASE_PATH|$script\" >" +
                        seen + "; read x && exit 9; exit 0") == "good");
    CHECK(file_text(seen) == "online type_if=vif|vif3.0|vif3.0|vif|/local/domain/0/backend/vif/3/0|backend|" +
                                 scripts.directory + "/script\n");
}

TEST_CASE("A script that fails, hangs or is none is an error")
{
    Scripts scripts;
    const std::string path = scripts.directory + "/script";
    CHECK(scripts.outcome("exit 3") == path + " online ended with status 3: its own words are in vmmd's log");
    CHECK(scripts.outcome("kill -9 $$") ==
          path + " online was killed by signal 9: its own words are in vmmd's log");
    // The sleep would hold the standard output of the test open, were only the shell killed.
    CHECK(scripts.outcome("sleep 1000; exit 0", std::chrono::milliseconds(100)) ==
          path + " online took too long and was killed");
    CHECK(scripts.call({"/nowhere/script", "online", "vif3.0", ""}, std::chrono::seconds(20)) ==
          "cannot start /nowhere/script: No such file or directory");
}

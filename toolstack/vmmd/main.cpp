// SPDX-License-Identifier: Apache-2.0
#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/daemon.hpp"
#include "toolstack/vmmd/descriptor_limit.hpp"
#include "toolstack/vmmd/pidfile.hpp"
#include "toolstack/vmmd/readiness.hpp"
#include "toolstack/vmmd/settings.hpp"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>

namespace
{

using namespace vmm;

Result<void> serve(const Settings& settings)
{
    std::optional<Background> background;
    if (settings.background) {
        background.emplace(TRY(Background::enter()));
    }
    log::set_level(TRY(log::parse_level(settings.log_level)));
    if (!settings.log_file.empty()) {
        TRY(log::open_file(settings.log_file, true));
    }
    if (const auto raised = raise_descriptor_limit(); !raised) {
        log::warning(raised.error().message);
    }
    const Unique_fd pidfile = TRY(lock_pidfile(settings.pidfile));
    const auto daemon       = TRY(Daemon::create(settings));
    log::info("vmmd " PLINTH_VERSION " is ready");
    notify_service_manager("READY=1");
    if (background) {
        background->report_ready();
    }
    auto ended = daemon->run();
    notify_service_manager("STOPPING=1");
    return ended;
}

} // namespace

int main(int argc, char** argv)
{
    const auto line = read_settings(std::span(argv, static_cast<std::size_t>(argc)));
    if (!line) {
        std::fprintf(stderr, "vmmd: %s\n", line.error().message.c_str());
        return 2;
    }
    switch (line->start) {
    case Start::help: std::fputs(usage().c_str(), stdout); return EXIT_SUCCESS;
    case Start::version: std::puts("vmmd " PLINTH_VERSION); return EXIT_SUCCESS;
    case Start::run: break;
    }
    if (const auto served = serve(line->settings); !served) {
        std::fprintf(stderr, "vmmd: %s\n", served.error().message.c_str());
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

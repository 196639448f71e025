// SPDX-License-Identifier: Apache-2.0
//
// vmm-blkback: one disk of one domain, served from dom0.
#include "guest-drivers/backend/last_flush.hpp"
#include "guest-drivers/backend/nbd_disk.hpp"
#include "guest-drivers/backend/options.hpp"
#include "guest-drivers/backend/privileges.hpp"
#include "guest-drivers/backend/xen_events.hpp"
#include "guest-drivers/backend/xen_grants.hpp"
#include "guest-drivers/backend/xen_store.hpp"
#include "toolstack/base/log.hpp"
#include "toolstack/xen/event_pump.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace
{

using namespace vmm;
using namespace vmm::block;

constexpr std::chrono::seconds kPatience{30};               // for the device's nodes
constexpr std::chrono::seconds kMeasured{5};                // how often the disk's size is looked at
constexpr std::size_t kBuffers = 4 * Buffer_pool::kLargest; // data under way

Result<std::unique_ptr<Disk>> disk_from(const Options& options, Event_loop& loop, Nbd_disk::Lost lost)
{
    if (Nbd_disk::is_uri(options.source)) {
        return Nbd_disk::connect(options.source, options.image, loop, std::move(lost));
    }
    return open_disk(TRY(open_image(options.source, options.image)), loop);
}

void leave_word(const Options& options, const std::string& why)
{
    log::error("vmm-blkback: " + why);
    if (!options.last_words.empty()) {
        std::ofstream(options.last_words) << why << '\n';
    }
}

std::string not_written(const Options& options, int error)
{
    return "what the guest has written is not all in " + options.source + ": " + std::strerror(error);
}

// Asked to end it stays if what a server below it remembers cannot be written: that would be lost with it.
// The device is still there, so the status asks for another.
void end_if_all_is_written(Last_flush& flush, const Options& options)
{
    flush.begin([&options](int error) {
        if (error == 0) {
            std::_Exit(128 + SIGTERM);
        }
        leave_word(options, not_written(options, error) + "; it is served on");
    });
}

Result<void> serve(const Options& options)
{
    const auto loop = TRY(Event_loop::create());
    Result<void> result;
    Buffer_pool buffers(kBuffers);
    const auto disk = TRY(disk_from(options, *loop, [&](std::string why) {
        result = fail(Errc::io, std::move(why) + "; start this program again when the server is back");
        loop->stop();
    }));

    disk->use_memory(buffers.memory());
    Last_flush before_another(*disk);
    Last_flush last_of_all(*disk);
    TRY(loop->on_signals({SIGTERM}, [&](int) { end_if_all_is_written(before_another, options); }));
    Device* served     = nullptr;
    const auto store   = TRY(Xen_store::open(*loop, [&] { served->look(); }));
    const auto grants  = TRY(Xen_grants::open(options.device.frontend));
    const auto channel = TRY(Event_channel::open());
    Xen_events events(*channel, options.device.frontend);
    Event_pump pump(*loop, [&] { return channel->dispatch(); });
    TRY(pump.start(channel->fd()));
    Request_log requests = TRY(Request_log::open(options.log));
    Complaints complaints(options.source, [](std::string_view line) { log::warning(line); });
    TRY(drop_privileges());

    Device device(options.device, {*loop, *store, *disk, buffers, *grants, events, complaints, requests});
    served = &device;
    TRY(device.begin([&] {
        last_of_all.begin([&](int error) {
            if (error != 0) {
                leave_word(options, not_written(options, error));
            }
            loop->stop();
        });
    }));
    loop->every(kMeasured, [&] { device.measure(); });
    loop->after(kPatience, [&] {
        if (!device.begun()) {
            result = fail(Errc::not_found, "the store has no device at " + options.device.path +
                                               "; vmmd makes its nodes, or a toolstack like it");
            loop->stop();
        }
    });
    TRY(loop->run());
    return result;
}

} // namespace

int main(int argc, char** argv)
{
    const auto options = parse_options({argv, static_cast<std::size_t>(argc)});
    if (options && options->help) {
        std::fputs(usage().c_str(), stdout);
        return 0;
    }
    std::signal(SIGPIPE, SIG_IGN);
    const auto served = options ? serve(*options) : std::unexpected(options.error());
    if (!served) {
        leave_word(options ? *options : Options(), served.error().message);
        return 1;
    }
    return 0;
}

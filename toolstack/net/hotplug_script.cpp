// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/hotplug_script.hpp"

#include "toolstack/base/child_process.hpp"

#include <csignal>

namespace vmm::net
{

Hotplug_scripts::~Hotplug_scripts()
{
    for (const auto& [child, running] : running_) {
        loop_.cancel(running.timer);
        loop_.forget_child(child);
    }
}

void Hotplug_scripts::run(const Call& call, Done done)
{
    const auto child = start(
        {.words       = {call.script, call.action, "type_if=vif"},
         .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "script=" + call.script, "XENBUS_TYPE=vif",
                         "XENBUS_PATH=" + call.backend_path, "XENBUS_BASE_PATH=backend",
                         "INTERFACE=" + call.device, "vif=" + call.device, "LANG=C"}});
    if (!child) {
        done(std::unexpected(child.error()));
        return;
    }
    const auto timer = loop_.after(limit_, [this, pid = *child] {
        running_.at(pid).timed_out = true;
        ::kill(-pid, SIGKILL); // the group: a script is often several processes
    });
    running_.emplace(*child, Running{call.script + " " + call.action, timer, false, std::move(done)});
    if (const auto watched =
            loop_.on_child_exit(*child, [this, pid = *child](int status) { ended(pid, status); });
        !watched) {
        loop_.cancel(timer);
        const auto node = running_.extract(*child);
        end_now(*child);
        node.mapped().done(watched);
    }
}

void Hotplug_scripts::ended(pid_t child, int wait_status)
{
    const auto node        = running_.extract(child);
    const Running& running = node.mapped();
    loop_.cancel(running.timer);
    if (running.timed_out) {
        running.done(fail(Errc::timed_out, running.name + " took too long and was killed"));
    } else if (wait_status != 0) {
        running.done(fail(Errc::io, running.name + " " + describe_end(wait_status) +
                                        ": its own words are in vmmd's log"));
    } else {
        running.done({});
    }
}

} // namespace vmm::net

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/link_waits.hpp"

#include <utility>

namespace vmm::net
{

Link_waits::~Link_waits()
{
    for (const Wait& wait : waits_) {
        loop_.cancel(wait.limit);
    }
}

Result<bool> Link_waits::has_come(const std::string& device, For what)
{
    const auto link = TRY(links_.find(device));
    return link.has_value() == (what == For::device);
}

void Link_waits::wait(const std::string& device, For what, Done done)
{
    const auto come = has_come(device, what);
    if (!come) {
        done(std::unexpected(come.error()));
        return;
    }
    if (*come) {
        done({});
        return;
    }
    const auto wait = waits_.insert(waits_.end(), {device, what, std::move(done), {}});
    wait->limit     = loop_.after(kLimit, [this, wait] {
        const Wait late = std::move(*wait);
        waits_.erase(wait);
        late.done(fail(Errc::timed_out, late.what == For::device
                                                ? "dom0's kernel has made no network device " + late.device +
                                                  ": what it says about that is in its log (dmesg)"
                                                : "dom0's kernel keeps network device " + late.device +
                                                  " though its backend has gone"));
    });
}

// All are found before the first is called, who may wait for another one.
void Link_waits::look()
{
    std::list<Wait> over;
    for (auto next = waits_.begin(); next != waits_.end();) {
        const auto wait = next++;
        if (has_come(wait->device, wait->what).value_or(false)) {
            loop_.cancel(wait->limit);
            over.splice(over.end(), waits_, wait);
        }
    }
    for (const Wait& wait : over) {
        wait.done({});
    }
}

} // namespace vmm::net

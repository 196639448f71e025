// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/console/terminal_watch.hpp"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <utility>

namespace vmm
{

Terminal_watch::~Terminal_watch()
{
    if (inotify_) {
        loop_.remove(inotify_.get());
    }
}

Result<void> Terminal_watch::start()
{
    Unique_fd inotify(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!inotify) {
        return fail_errno("cannot watch pseudo-terminals");
    }
    TRY(loop_.add(inotify.get(), EPOLLIN, [this](std::uint32_t) { read_events(); }));
    inotify_ = std::move(inotify);
    return {};
}

Result<Terminal_watch::Id> Terminal_watch::add(const std::string& path, std::function<void()> on_change)
{
    if (!inotify_) {
        TRY(start());
    }
    const int watch = inotify_add_watch(inotify_.get(), path.c_str(), IN_OPEN | IN_CLOSE);
    if (watch < 0) {
        return fail_errno("cannot watch the pseudo-terminal " + path);
    }
    terminals_[Id{watch}] = {std::move(on_change)};
    return Id{watch};
}

// The kernel does not use the number again, so events of it that still wait find nobody.
void Terminal_watch::remove(Id terminal)
{
    inotify_rm_watch(inotify_.get(), static_cast<int>(terminal));
    terminals_.erase(terminal);
}

void Terminal_watch::count(Id terminal, std::uint32_t mask)
{
    const auto found = terminals_.find(terminal);
    if (found == terminals_.end()) {
        return;
    }
    int& readers = found->second.readers;
    if ((mask & IN_OPEN) != 0) {
        ++readers;
    } else if ((mask & IN_CLOSE) != 0) {
        readers = std::max(0, readers - 1);
    }
}

// All events count before anybody is called: who has come and gone at once was not there.
void Terminal_watch::read_events()
{
    alignas(inotify_event) std::array<char, 4096> buffer{};
    std::set<Id> changed;
    ssize_t got = 0;
    while ((got = ::read(inotify_.get(), buffer.data(), buffer.size())) > 0) {
        for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(got);) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + at, sizeof event);
            count(Id{event.wd}, event.mask);
            changed.insert(Id{event.wd});
            at += sizeof event + event.len;
        }
    }
    for (const Id terminal : changed) {
        if (const auto found = terminals_.find(terminal); found != terminals_.end()) {
            const auto on_change = found->second.on_change; // a copy: it may remove the terminal
            on_change();
        }
    }
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#pragma once
// Knows how many others have a console's pseudo-terminal open, by inotify. All consoles share one instance: a
// user may have no more than 128 by default, root included.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace vmm
{

class Terminal_watch
{
  public:
    enum class Id : int {};

    explicit Terminal_watch(Event_loop& loop) : loop_(loop) {}
    Terminal_watch(const Terminal_watch&)            = delete;
    Terminal_watch& operator=(const Terminal_watch&) = delete;
    ~Terminal_watch();

    // Calls back after somebody has come or gone. Who has the terminal open already does not count.
    [[nodiscard]] Result<Id> add(const std::string& path, std::function<void()> on_change);
    void remove(Id terminal);
    [[nodiscard]] bool is_attached(Id terminal) const { return terminals_.at(terminal).readers > 0; }

  private:
    struct Terminal {
        std::function<void()> on_change;
        int readers = 0;
    };
    Result<void> start();
    void read_events();
    void count(Id terminal, std::uint32_t mask);

    Event_loop& loop_;
    Unique_fd inotify_; // made with the first terminal
    std::map<Id, Terminal> terminals_;
};

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who waits for changes of what. The index finds the watches a change concerns in time that grows with those
// found, not with all that exist. It holds pointers: a Watch must stay where it is while indexed. It delivers
// nothing and checks no permission; that is the announcer's work.

#include "toolstack/store/permissions.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vmm::store
{

struct Watch;

// A client as receiver of events. deliver() must only queue: it may not touch the store or any watch but the
// one given.
class Watcher
{
  public:
    Watcher()                          = default;
    Watcher(const Watcher&)            = delete;
    Watcher& operator=(const Watcher&) = delete;
    virtual ~Watcher()                 = default;

    [[nodiscard]] virtual const Caller& caller() const        = 0;
    virtual void deliver(Watch& watch, std::string_view path) = 0;
};

struct Watch {
    Watcher* watcher;
    std::string path; // absolute, or special: '@' and a name
    std::string token;
    std::size_t hidden_prefix = 0;   // bytes of the path the client left out when it named it relatively
    std::optional<unsigned> depth{}; // levels below the path that count; unlimited without
    bool missed = false;             // an event could not be queued; one for the whole watch is owed

    [[nodiscard]] std::string_view reported(std::string_view event_path) const;
};

class Watch_index
{
  public:
    void add(Watch& watch);
    void remove(Watch& watch);
    // Called after each removal, from within it.
    void on_removal(std::function<void()> call) { on_removal_ = std::move(call); }

    // The watches on a path itself, a special one included.
    [[nodiscard]] std::vector<Watch*> at(std::string_view path) const;
    // The watches whose depth reaches the path: on itself or on any node above it.
    [[nodiscard]] std::vector<Watch*> covering(std::string_view path) const;
    // The watches on nodes strictly below the path.
    [[nodiscard]] std::vector<Watch*> below(std::string_view path) const;

  private:
    std::map<std::string, std::vector<Watch*>, std::less<>> watches_;
    std::function<void()> on_removal_;
};

} // namespace vmm::store

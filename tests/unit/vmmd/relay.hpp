// SPDX-License-Identifier: Apache-2.0
#pragma once
// The wire between two hosts of a migration, for tests: it passes records on, both ways, and holds back the
// one that the test names, so that the test can do something to either host at that very moment. Then it is
// told whether the record still arrives. It owns both ends and two threads.

#include "toolstack/base/unique_fd.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace vmm::test
{

class Relay
{
  public:
    // `hold`: "description", "frames", "processors", "end", "commit" of the source, or a word of the
    // target's.
    Relay(Unique_fd source, Unique_fd target, std::string hold);
    Relay(const Relay&)            = delete;
    Relay& operator=(const Relay&) = delete;
    ~Relay();

    // The record is here, and waits; nothing follows it in its direction.
    [[nodiscard]] bool holds() const { return held_; }
    void pass_on();
    // Nothing gets through any more, either way, and both sides see that.
    void cut();

  private:
    void carry(int from, int to);
    bool carry_record(int from, int to);
    bool wait_at(const std::string& name);

    std::array<Unique_fd, 2> ends_;
    std::string hold_;
    std::atomic<bool> held_ = false;
    std::mutex mutex_;
    std::condition_variable told_;
    bool go_on_ = false; // guarded by mutex_
    bool cut_   = false; // guarded by mutex_
    std::array<std::thread, 2> threads_;
};

} // namespace vmm::test

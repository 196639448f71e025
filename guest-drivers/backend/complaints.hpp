// SPDX-License-Identifier: Apache-2.0
#pragma once
// Log lines that a guest can provoke: each begins with the name of the disk, and however many there would be,
// only a few a minute are written; the first one after that tells how many were left out.

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace vmm::block
{

class Complaints
{
  public:
    using Clock = std::chrono::steady_clock;
    using Write = std::function<void(std::string_view line)>;

    static constexpr unsigned kAtOnce = 5;
    static constexpr std::chrono::seconds kPeriod{60};

    Complaints(std::string name, Write write) : name_(std::move(name)), write_(std::move(write)) {}

    void say(std::string_view what, Clock::time_point now = Clock::now());

  private:
    std::string name_;
    Write write_;
    Clock::time_point period_began_{};
    unsigned said_     = 0;
    unsigned left_out_ = 0;
};

} // namespace vmm::block

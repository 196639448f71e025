// SPDX-License-Identifier: Apache-2.0
#pragma once
// How much a guest may print: a bucket that holds `burst` bytes and fills at `per_second`. Time is passed in.

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace vmm
{

class Allowance
{
  public:
    using Time = std::chrono::steady_clock::time_point;

    Allowance(std::size_t burst, std::size_t per_second, Time now)
        : burst_(burst), rate_(per_second), left_(burst), last_(now)
    {
    }

    [[nodiscard]] std::size_t available(Time now)
    {
        const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - last_);
        if (passed.count() > 0) {
            // A day's worth fills any bucket; more would only overflow.
            const auto ms = static_cast<std::size_t>(std::min<long long>(passed.count(), 86'400'000));
            left_         = std::min(burst_, left_ + rate_ * ms / 1000);
            last_ += passed;
        }
        return left_;
    }
    void use(std::size_t bytes) { left_ -= std::min(left_, bytes); }

  private:
    std::size_t burst_;
    std::size_t rate_;
    std::size_t left_;
    Time last_;
};

} // namespace vmm

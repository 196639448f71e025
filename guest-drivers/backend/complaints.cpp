// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/complaints.hpp"

namespace vmm::block
{

void Complaints::say(std::string_view what, Clock::time_point now)
{
    if (now - period_began_ >= kPeriod) {
        period_began_ = now;
        said_         = 0;
        if (left_out_ > 0) {
            write_(name_ + ": " + std::to_string(left_out_) + " more messages like these were left out");
            left_out_ = 0;
        }
    }
    if (said_ == kAtOnce) {
        ++left_out_;
        return;
    }
    ++said_;
    write_(name_ + ": " + std::string(what));
}

} // namespace vmm::block

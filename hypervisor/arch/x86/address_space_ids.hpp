// SPDX-License-Identifier: Apache-2.0
//
// The identifiers (ASID, VPID) that keep one guest's translations in the TLB apart from another's, on one
// physical CPU. A guest that takes a new one has forgotten all it had. When they run out, a new generation
// starts and the whole TLB is flushed once, at the entry that gets flush_all. [APM2 15.16, SDM3 29.1]
#pragma once

#include "base/types.hpp"

namespace vmm
{

class Address_space_ids
{
  public:
    struct Id {
        u32 number     = 0; // 0 is the host's
        u64 generation = 0;
    };

    // `count`: how many the CPU tells apart, the host's included.
    void init(u32 count) { count_ = count; }
    [[nodiscard]] u32 count() const { return count_; }

    [[nodiscard]] bool is_current(const Id& id) const { return id.generation == generation_; }

    Id next(bool& flush_all)
    {
        flush_all = next_ >= count_;
        if (flush_all) {
            next_ = 1;
            ++generation_;
        }
        return {next_++, generation_};
    }

  private:
    u32 count_      = 0;
    u32 next_       = 1;
    u64 generation_ = 1;
};

} // namespace vmm

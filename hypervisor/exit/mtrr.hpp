// SPDX-License-Identifier: Apache-2.0
//
// The memory type range registers a guest sees: it can set and read them back, and they decide nothing,
// because nested paging with the machine's own types does. All of memory is write-back to begin with.
// [SDM3 12.11, APM2 7.7]
#pragma once

#include "base/expected.hpp"

#include <array>
#include <optional>

#include <xen/hvm/save.h>
#include <xen/xen.h>

namespace vmm
{

class Mtrr
{
  public:
    static bool owns(u32 index);
    Expected<u64> read(u32 index) const;
    Expected<void> write(u32 index, u64 value);

    // All of them as the HVM context has them (the PAT beside them is not theirs).
    void save(hvm_hw_mtrr& record) const;
    Expected<void> load(const hvm_hw_mtrr& record);

  private:
    static constexpr unsigned kVariable = MTRR_VCNT;
    static constexpr unsigned kFixed    = NUM_FIXED_MSR;
    static constexpr u64 kAllWriteBack  = 0x0606060606060606;

    static std::optional<unsigned> fixed_slot(u32 index);

    u64 default_type_ = 0xc06; // enabled, fixed ranges enabled, write-back
    std::array<u64, 2 * kVariable> variable_{};
    std::array<u64, kFixed> fixed_{kAllWriteBack, kAllWriteBack, kAllWriteBack, kAllWriteBack,
                                   kAllWriteBack, kAllWriteBack, kAllWriteBack, kAllWriteBack,
                                   kAllWriteBack, kAllWriteBack, kAllWriteBack};
};

} // namespace vmm

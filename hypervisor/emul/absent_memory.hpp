// SPDX-License-Identifier: Apache-2.0
//
// Guest-physical addresses where nothing is: reads give all ones, writes go nowhere, as on a bus without a
// device. It has no state; one serves all domains.
#pragma once

#include "emul/mmio_device.hpp"

namespace vmm
{

class Absent_memory final : public Mmio_device
{
  public:
    u64 read(Gpa, u8) override { return ~0ull; }
    void write(Gpa, u8, u64) override {}
};

} // namespace vmm

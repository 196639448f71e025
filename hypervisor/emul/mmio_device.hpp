// SPDX-License-Identifier: Apache-2.0
//
// Something that answers accesses to trapped guest-physical addresses. One access never crosses a page;
// sizes are 1, 2, 4 or 8 bytes; a read returns the value in the low bytes.
#pragma once

#include "base/types.hpp"

namespace vmm
{

class Mmio_device
{
  public:
    virtual u64 read(Gpa gpa, u8 size)              = 0;
    virtual void write(Gpa gpa, u8 size, u64 value) = 0;

  protected:
    ~Mmio_device() = default;
};

} // namespace vmm

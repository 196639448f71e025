// SPDX-License-Identifier: Apache-2.0
//
// Ports 0x70 and 0x71 of dom0: the index is kept here and written to the chip together with each access to
// the data port, so that the hypervisor can read the clock in between, and so that bit 7 of the index, the
// machine's NMI mask, is not the guest's to set.
#pragma once

#include "exit/vm_exit.hpp"

namespace vmm
{

class Cmos_index
{
  public:
    static constexpr bool owns(u16 port) { return port == kIndexPort || port == kDataPort; }
    u8 read(u16 port);
    void write(u16 port, u8 value);

  private:
    static constexpr u16 kIndexPort = 0x70;
    static constexpr u16 kDataPort  = 0x71;

    u8 index_ = 0;
};

} // namespace vmm

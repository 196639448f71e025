// SPDX-License-Identifier: Apache-2.0
//
// What answers accesses to trapped guest-physical addresses, and how a guest's access gets there. One access
// never crosses a page; sizes are 1, 2, 4 or 8 bytes; a read returns the value in the low bytes.
#pragma once

#include "exit/vm_exit.hpp"

namespace vmm
{

class Vcpu;

class Mmio_device
{
  public:
    virtual u64 read(Gpa gpa, u8 size)              = 0;
    virtual void write(Gpa gpa, u8 size, u64 value) = 0;

  protected:
    ~Mmio_device() = default;
};

// Completes the access: fetches the instruction at CS:RIP, decodes it, has the device answer, and moves RIP
// on. An instruction that is not emulated becomes #GP in the guest, with a line in the log: it harms nobody
// but the guest that chose it.
void emulate_mmio(Vcpu& vcpu, const Nested_fault& fault, Mmio_device& device);

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
//
// A CPU that delivers the interrupts of one vCPU's local APIC itself, and takes their EOI, the guest's writes
// of the TPR and its IPIs to itself, all without an exit. The backend implements it where the CPU can do
// that; the virtual local APIC hands over what is requested and is asked only for what a CPU cannot know: who
// else has to hear of an EOI. Called on the CPU that runs the vCPU, or while it does not run; state()
// wherever. [SDM3 30.1 to 30.5]
#pragma once

#include "emul/vector_set.hpp"

namespace vmm
{

class Interrupt_delivery
{
  public:
    struct State {
        Vectors requested{}, in_service{};
    };

    // From the next entry on, with what is requested and in service already. The guest's EOI of a vector in
    // `level` exits.
    virtual void start(const State& state, const Vectors& level)         = 0;
    // No longer; what is left goes back to the caller.
    virtual State stop()                                                 = 0;
    // More was requested.
    virtual void request(const Vectors& requested, const Vectors& level) = 0;
    [[nodiscard]] virtual State state() const                            = 0;

  protected:
    ~Interrupt_delivery() = default;
};

} // namespace vmm

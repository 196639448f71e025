// SPDX-License-Identifier: Apache-2.0
//
// Events as bits of shared_info: a pending and a mask bit a port, and in each vcpu_info a selector bit for
// every word with something to do. 4096 ports. Every domain starts with it.
#pragma once

#include "event/port_ops.hpp"

namespace vmm
{

class Two_level_ops final : public Port_ops
{
  public:
    explicit Two_level_ops(Domain& domain) : domain_(domain) {}

    bool set_pending(Evtchn_port port, Channel& channel, Vcpu& vcpu) override;
    void clear_pending(Evtchn_port port, Channel& channel) override;
    void unmask(Evtchn_port port, Channel& channel, Vcpu& vcpu) override;
    [[nodiscard]] bool is_pending(Evtchn_port port, const Channel& channel) const override;
    [[nodiscard]] bool is_busy(Evtchn_port port) const override;
    [[nodiscard]] u32 port_limit() const override { return EVTCHN_2L_NR_CHANNELS; }

  private:
    static void select(Evtchn_port port, Vcpu& vcpu);

    Domain& domain_;
};

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#pragma once
// A device that neither comes nor goes: whoever takes its domain apart waits for it, so that a test can let
// the daemon die in that moment. It is gone with the daemon.

#include "daemon_fixture.hpp"

namespace vmm::test
{

class Stuck_device final : public device::Device_class
{
  public:
    // Lives longer than the daemon.
    void plug_into(Daemon_fixture& daemon, Domid domain)
    {
        daemon.devices->add(*this);
        daemon.devices->plug({{{domain, "stuck", 0}, {}}}, [](const Result<void>&) {});
        daemon.run_until([&] { return asked_; });
    }

    std::string_view type() const override { return "stuck"; }
    std::string describe(const device::Json&) const override { return "device"; }
    void prepare(device::Task, std::function<void(Result<device::Prepared>)>) override { asked_ = true; }
    void connect(const device::Address&, device::Done) override {}
    void release(const device::Address&, std::function<void()>) override {}
    Result<void> adopt(device::Task, const device::Json&) override { return {}; }

  private:
    bool asked_ = false;
};

} // namespace vmm::test

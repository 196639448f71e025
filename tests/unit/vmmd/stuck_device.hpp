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
    explicit Stuck_device(std::string type = "stuck") : type_(std::move(type)) {}

    // Lives longer than the daemon.
    void plug_into(Daemon_fixture& daemon, Domid domain)
    {
        daemon.devices->add(*this);
        daemon.devices->plug({{{domain, type_, 0}, {}}}, [](const Result<void>&) {});
        daemon.run_until([&] { return is_asked(); });
    }
    [[nodiscard]] bool is_asked() const { return bool(prepared_); }
    // It does go, in the end.
    void let_go() { is_stuck_ = false; }
    void give_up()
    {
        let_go();
        prepared_(fail(Errc::io, "the test has given up"));
    }

    std::string_view type() const override { return type_; }
    std::string describe(const device::Json&) const override { return "device"; }
    void prepare(device::Task, std::function<void(Result<device::Prepared>)> prepared) override
    {
        prepared_ = std::move(prepared);
    }
    void connect(const device::Address&, device::Done) override {}
    void release(const device::Address&, std::function<void()> done) override
    {
        if (!is_stuck_) {
            done();
        } else {
            release_ = std::move(done);
        }
    }
    Result<void> adopt(device::Task, const device::Json&) override { return {}; }

    [[nodiscard]] bool is_released() const { return bool(release_); }
    // By the daemon that waits for it.
    void finish_release() { std::exchange(release_, nullptr)(); }

  private:
    std::string type_;
    bool is_stuck_ = true;
    std::function<void(Result<device::Prepared>)> prepared_;
    std::function<void()> release_;
};

} // namespace vmm::test

// SPDX-License-Identifier: Apache-2.0
#pragma once
// Disks as far as supervisors ask for them: plugged, closed for a while, or in somebody's hands.

#include "toolstack/device/device_class.hpp"

#include <functional>
#include <string>

namespace vmm::test
{

class Image_disks final : public device::Device_class
{
  public:
    std::string in_use;           // why no disk is free
    std::string trouble;          // why one cannot be closed
    std::string no_device;        // why none can be plugged
    std::function<void()> closed; // called while one is closed
    unsigned times = 0;

    std::string_view type() const override { return "vbd"; }
    std::string describe(const device::Json&) const override { return "disk"; }
    void prepare(device::Task, std::function<void(Result<device::Prepared>)> done) override
    {
        done(no_device.empty() ? Result<device::Prepared>(device::Prepared{}) : fail(Errc::io, no_device));
    }
    void connect(const device::Address&, device::Done done) override { done({}); }
    void release(const device::Address&, std::function<void()> done) override { done(); }
    void while_closed(const device::Address&, device::Work work, device::Done done) override
    {
        ++times;
        if (closed) {
            closed();
        }
        done(trouble.empty() ? work() : fail(Errc::timed_out, trouble));
    }
    Result<void> check_free(const device::Json&) const override
    {
        return in_use.empty() ? Result<void>() : fail(Errc::busy, in_use);
    }
    Result<void> adopt(device::Task, const device::Json&) override { return {}; }
};

} // namespace vmm::test

// SPDX-License-Identifier: Apache-2.0
#pragma once
// A flush that nobody in the guest asked for: of what the disk has answered when its server is to end. What
// is only remembered below may fail to be written later, when there is nobody left to hear of it.

#include "guest-drivers/backend/disk.hpp"

#include <functional>
#include <utility>

namespace vmm::block
{

class Last_flush final : public Disk_client
{
  public:
    explicit Last_flush(Disk& disk) : disk_(disk)
    {
        io_.client = this;
        io_.kind   = Disk_io::Kind::flush;
    }
    Last_flush(const Last_flush&)            = delete;
    Last_flush& operator=(const Last_flush&) = delete;

    // `done` is told 0 or an errno, from inside if that takes no time. While one is under way another is not
    // begun.
    void begin(std::function<void(int error)> done)
    {
        if (done_) {
            return;
        }
        done_     = std::move(done);
        io_.error = 0;
        disk_.start(io_);
        disk_.submit();
    }
    void ended(Disk_io& io) override { std::exchange(done_, nullptr)(io.error); }

  private:
    Disk& disk_;
    Disk_io io_;
    std::function<void(int error)> done_;
};

} // namespace vmm::block

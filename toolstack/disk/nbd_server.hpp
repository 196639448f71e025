// SPDX-License-Identifier: Apache-2.0
#pragma once
// One qemu-nbd process that shows an image of any format as /dev/nbdN: QEMU's block layer does the formats,
// the kernel's nbd driver the device; between the two everything is copied through a socket. The process is a
// daemon of its own and outlives vmmd; which one serves a device stands in sysfs, so it is found again
// without any record but the device's number. This object watches it and, on stop(), ends it after it has
// written everything out. The format is always given, never guessed from content.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/base/unique_fd.hpp"
#include "toolstack/config/disk.hpp"
#include "toolstack/disk/sysfs.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace vmm::disk
{

struct Nbd_setup {
    std::string program = "/usr/bin/qemu-nbd";
    std::string folder  = "/run/vmm/disk"; // for its sockets, and for what it has to say
};

class Nbd_server
{
  public:
    // `ready` is called once, later, and never after the object has gone.
    [[nodiscard]] static Result<std::unique_ptr<Nbd_server>> launch(Event_loop& loop, const Sysfs& sysfs,
                                                                    const Nbd_setup& setup, unsigned index,
                                                                    const config::Disk& disk,
                                                                    std::function<void(Result<void>)> ready);
    // The one that a former vmmd launched for this device, if it is there.
    [[nodiscard]] static Result<std::unique_ptr<Nbd_server>> find(Event_loop& loop, const Sysfs& sysfs,
                                                                  const Nbd_setup& setup, unsigned index);
    Nbd_server(const Nbd_server&)            = delete;
    Nbd_server& operator=(const Nbd_server&) = delete;
    ~Nbd_server(); // the process goes on

    [[nodiscard]] unsigned index() const { return index_; }
    [[nodiscard]] std::string path() const { return "/dev/nbd" + std::to_string(index_); }

    // Asks it to end, makes it end if it does not; `done` when it is gone. Once.
    void stop(std::function<void()> done);

  private:
    Nbd_server(Event_loop& loop, const Sysfs& sysfs, const Nbd_setup& setup, unsigned index)
        : loop_(loop), sysfs_(sysfs), setup_(setup), index_(index)
    {
    }
    [[nodiscard]] std::string file(const char* ending) const;
    Result<void> spawn(const config::Disk& disk);
    void launched(int wait_status);
    void wait_for_device();
    [[nodiscard]] Result<void> watch_process();
    void process_ended();
    void forget_files() const;

    Event_loop& loop_;
    const Sysfs& sysfs_;
    const Nbd_setup& setup_;
    unsigned index_;
    std::function<void(Result<void>)> ready_;
    pid_t launcher_ = 0; // ends when the daemon serves, or tells why it cannot
    Unique_fd process_;  // a pidfd of the daemon
    std::function<void()> stopped_;
    std::optional<Event_loop::Timer_id> killer_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); // for callbacks that cannot be taken back
};

} // namespace vmm::disk

// SPDX-License-Identifier: Apache-2.0
#pragma once
// The programs that serve one disk from dom0's user space: vmm-blkback and, for what is not raw, the qemu-nbd
// before it. They live on when vmmd ends. A vmm-blkback that is killed is started again and goes on where it
// stopped; so does one whose qemu-nbd is gone. It knows nothing of nodes or claims.

#include "toolstack/config/disk.hpp"
#include "toolstack/device/device_class.hpp"
#include "toolstack/disk/followed_process.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace vmm::disk
{

struct Server_programs {
    std::string blkback           = "/usr/sbin/vmm-blkback";
    std::string nbd               = "/usr/bin/qemu-nbd";
    std::string img               = "/usr/bin/qemu-img";
    std::filesystem::path folder  = "/run/vmm/disk"; // their sockets, logs of requests and last words
    Event_loop::Duration patience = std::chrono::seconds(20); // to open an encrypted image takes a while
    Event_loop::Duration pause    = std::chrono::milliseconds(500); // before one is started again, at first
};

class Disk_server
{
  public:
    using Note = std::function<void(device::Json record)>;

    // The address names the backend's directory. `note` is told what adopt() will need.
    Disk_server(Event_loop& loop, const Server_programs& programs, device::Address address, config::Disk disk,
                Note note);
    Disk_server(const Disk_server&)            = delete;
    Disk_server& operator=(const Disk_server&) = delete;
    ~Disk_server();

    // Done when the image is open and only the device's nodes are waited for.
    void open(device::Done done);
    void adopt(const device::Json& record);
    // A raw file grows as it is. For any other image its programs end for that time, and the guest waits.
    void grow(std::uint64_t bytes, device::Done done);
    // `work` is called when nothing has the image open, and calls what it is given when it is done. Whatever
    // comes of it, the disk is served again then, and the guest has waited.
    void while_closed(std::function<void(device::Done back)> work, device::Done done);
    [[nodiscard]] const config::Disk& disk() const { return disk_; }
    // The device is gone; the programs end by themselves, or are ended.
    void close(std::function<void()> done);

    [[nodiscard]] static bool is_record(const device::Json& record);

  private:
    using Process = std::unique_ptr<Followed_process>;

    [[nodiscard]] bool needs_nbd() const;
    [[nodiscard]] bool is_served() const;
    void close_for(std::function<void(device::Done back)> work, device::Done done);
    [[nodiscard]] std::string file(const std::string& ending) const;
    void launch(device::Done done);
    void launch_nbd(device::Done done);
    void launch_blkback(device::Done done);
    void launch_img(std::uint64_t bytes, device::Done done);
    void launch_again(device::Done done);
    void restart();
    void end_nbd(std::function<void(bool by_itself)> done);
    void blkback_ended(const std::string& how, bool well);
    void ended(const std::string& how, bool well);
    void take_note(pid_t blkback, pid_t nbd);
    [[nodiscard]] std::string name() const;
    // A callback that does nothing once this object is gone.
    template <class Callback>
    auto while_here(Callback callback)
    {
        return [here = std::weak_ptr(here_), callback = std::move(callback)](const auto&... arguments) {
            if (here.lock()) {
                callback(arguments...);
            }
        };
    }

    Event_loop& loop_;
    const Server_programs& programs_;
    device::Address address_;
    config::Disk disk_;
    Note note_;
    Process blkback_;
    Process nbd_;
    Process img_;
    bool opened_    = false;
    bool closed_    = false; // for a while
    bool starting_  = false; // again
    bool closing_   = false;
    unsigned fails_ = 0; // one soon after the other
    Event_loop::Clock::time_point launched_;
    std::optional<Event_loop::Timer_id> restart_;
    std::shared_ptr<int> here_ = std::make_shared<int>();
};

} // namespace vmm::disk

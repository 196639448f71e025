// SPDX-License-Identifier: Apache-2.0
#pragma once
// Disks as a class of devices ("vbd"): a program of dom0 serves them, vmm-blkback, or the kernel's
// xen-blkback where that is faster or asked for. blkback serves block devices: of a raw file a loop
// device makes one. It hands the guest's own pages on; without an IOMMU no real device can reach those, so
// then a block device is served through a loop device too, and what is read and written is copied in dom0's
// page cache. Follows xen/io/blkif.h for the nodes and writes them itself: no script is on the way. A CD-ROM
// drive without a medium is no device at all. One object serves all disks of all domains.

#include "toolstack/base/event_loop.hpp"
#include "toolstack/config/disk.hpp"
#include "toolstack/device/device_class.hpp"
#include "toolstack/disk/claims.hpp"
#include "toolstack/disk/image_file.hpp"
#include "toolstack/disk/loop_device.hpp"
#include "toolstack/disk/program_disks.hpp"
#include "toolstack/disk/sysfs.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace vmm::disk
{

struct Disk_setup {
    bool devices_reach_guests = false; // there is an IOMMU
    Sysfs sysfs;
    Event_loop::Duration patience   = std::chrono::seconds(20); // for dom0's kernel
    Event_loop::Duration size_check = std::chrono::seconds(2);  // how often targets are asked for their size
    Server_programs programs{};
};

class Vbd_class final : public device::Device_class
{
  public:
    Vbd_class(Event_loop& loop, Loop_driver& loops, Disk_setup setup = {});
    ~Vbd_class() override;

    [[nodiscard]] std::string_view type() const override { return "vbd"; }
    [[nodiscard]] std::string describe(const device::Json& spec) const override;
    void prepare(device::Task task, std::function<void(Result<device::Prepared>)> done) override;
    void connect(const device::Address& address, device::Done done) override;
    void release(const device::Address& address, std::function<void()> done) override;
    void grow(const device::Address& address, std::uint64_t bytes, device::Done done) override;
    void while_closed(const device::Address& address, device::Work work, device::Done done) override;
    [[nodiscard]] Result<void> check_free(const device::Json& spec) const override;
    [[nodiscard]] Result<void> adopt(device::Task task, const device::Json& record) override;

  private:
    struct Disk_in_use {
        config::Disk disk;
        Image_file image;                // open as long as the disk is
        std::optional<Loop_device> loop; // its descriptor until blkback has one of its own
    };
    // What blkback is to serve.
    struct Block_device {
        std::string path;
        dev_t number = 0;
    };
    [[nodiscard]] bool is_for_program(const config::Disk& disk) const;
    static device::Prepared nodes_of(const config::Disk& disk, const Block_device& served);
    Result<Image_file> open(const device::Address& address, const config::Disk& disk) const;
    Result<Disk_in_use> take(const device::Address& address, const config::Disk& disk);
    Result<Block_device> show_as_device(const device::Task& task, Disk_in_use& in_use);
    void forget(const device::Address& address);
    void let_go(const device::Address& address, std::function<void()> done);
    void check_sizes();

    Event_loop& loop_;
    Loop_driver& loops_;
    Disk_setup setup_;
    Claims claims_;
    Program_disks programs_{loop_, setup_.programs, setup_.sysfs, claims_};
    std::map<device::Address, Disk_in_use> disks_;
    Event_loop::Timer_id size_timer_;
};

} // namespace vmm::disk

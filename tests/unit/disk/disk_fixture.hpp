// SPDX-License-Identifier: Apache-2.0
#pragma once
// A folder with images, a sysfs made up for the test, and a loop driver that shows files there without a
// kernel. Backends appear in that sysfs when the test says so.

#include "toolstack/disk/vbd_class.hpp"

#include <string>
#include <vector>

namespace vmm::test
{

class Disk_fixture : public disk::Loop_driver
{
  public:
    Disk_fixture();
    ~Disk_fixture() override;
    Disk_fixture(const Disk_fixture&)            = delete;
    Disk_fixture& operator=(const Disk_fixture&) = delete;

    std::string directory;
    disk::Sysfs sysfs;
    std::unique_ptr<Event_loop> loop;
    bool has_loop_devices = true;
    std::vector<disk::Loop_request> attached; // one for each loop device so far
    std::vector<unsigned> resized;

    [[nodiscard]] Result<disk::Loop_device> attach(const disk::Loop_request& request) override;
    [[nodiscard]] Result<void> take_over_size(unsigned index) override;

    std::string image(const std::string& name, std::uintmax_t bytes = 1U << 20) const;
    [[nodiscard]] config::Disk disk(const std::string& text) const; // "%" stands for the folder
    [[nodiscard]] std::string in_sysfs(const std::string& path) const { return directory + "/sys" + path; }
    void write_sysfs(const std::string& path, const std::string& text) const;
    // blkback has opened what it was given; it has let go of it.
    void backend_opens(const device::Address& address) const;
    void backend_goes(const device::Address& address) const;
    // Nobody has the loop device open any more.
    void loop_goes(unsigned index) const;

    void run_until(const std::function<bool()>& done);
};

} // namespace vmm::test

// SPDX-License-Identifier: Apache-2.0
#pragma once
// The disks that vmm-blkback serves: those of Vbd_class with backendtype=qdisk, of any format. It shares the
// claims with those that the kernel serves. One object for all domains.

#include "toolstack/disk/claims.hpp"
#include "toolstack/disk/disk_server.hpp"
#include "toolstack/disk/sysfs.hpp"

#include <functional>
#include <map>
#include <memory>

namespace vmm::disk
{

class Program_disks
{
  public:
    Program_disks(Event_loop& loop, Server_programs programs, const Sysfs& sysfs, Claims& claims)
        : loop_(loop), programs_(std::move(programs)), sysfs_(sysfs), claims_(claims)
    {
    }

    [[nodiscard]] bool has(const device::Address& address) const { return servers_.contains(address); }

    // As Device_class has them.
    void prepare(const device::Task& task, const config::Disk& disk,
                 std::function<void(Result<device::Prepared>)> done);
    void release(const device::Address& address, std::function<void()> done);
    void grow(const device::Address& address, std::uint64_t bytes, device::Done done);
    void while_closed(const device::Address& address, const device::Work& work, device::Done done);
    [[nodiscard]] Result<void> adopt(const device::Task& task, const config::Disk& disk,
                                     const device::Json& record);

  private:
    Result<void> claim(const device::Address& address, const config::Disk& disk);
    Disk_server& server_for(const device::Task& task, const config::Disk& disk);

    Event_loop& loop_;
    Server_programs programs_;
    const Sysfs& sysfs_;
    Claims& claims_;
    std::map<device::Address, std::unique_ptr<Disk_server>> servers_;
};

} // namespace vmm::disk

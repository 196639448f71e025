// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/program_disks.hpp"

#include "toolstack/disk/image_file.hpp"

namespace vmm::disk
{

using config::Disk;
using config::Disk_access;
using device::Address;
using device::Json;
using device::Prepared;

namespace
{

constexpr const char* kBackends = "vmmblk"; // a directory that no kernel looks into

Prepared nodes_of(const Disk& disk)
{
    const bool reads = disk.access == Disk_access::read_only;
    return {.frontend     = {{"virtual-device", std::to_string(disk.number())}, {"device-type", "disk"}},
            .backend      = {{"dev", disk.vdev},
                             {"type", "qdisk"},
                             {"params", disk.target},
                             {"mode", reads                                ? "r"
                                      : disk.access == Disk_access::shared ? "w!"
                                                                           : "w"},
                             {"device-type", disk.cdrom ? "cdrom" : "disk"},
                             {"removable", disk.cdrom ? "1" : "0"},
                             {"bootable", "1"}},
            .backend_type = kBackends};
}

} // namespace

// Looked at as for the kernel, for the sake of the answers; the program opens it itself, and alone.
Result<void> Program_disks::claim(const Address& address, const Disk& disk)
{
    if (disk.is_remote()) {
        return {};
    }
    TRY(claims_.check(address, TRY(identify(disk)), disk));
    TRY(check_key_file(disk));
    const Image_file image = TRY(open_image(disk, sysfs_));
    TRY(claims_.check(address, image.identity, disk));
    claims_.add(address, image.identity, disk);
    return {};
}

Disk_server& Program_disks::server_for(const device::Task& task, const Disk& disk)
{
    Address address      = task.address;
    address.backend_type = kBackends;
    auto& server         = servers_[task.address];
    server               = std::make_unique<Disk_server>(loop_, programs_, address, disk, task.note);
    return *server;
}

void Program_disks::prepare(const device::Task& task, const Disk& disk,
                            std::function<void(Result<Prepared>)> done)
{
    if (const auto claimed = claim(task.address, disk); !claimed) {
        return done(std::unexpected(claimed.error()));
    }
    server_for(task, disk)
        .open([this, address = task.address, disk, done = std::move(done)](Result<void> opened) {
            if (opened) {
                return done(nodes_of(disk));
            }
            release(address, [done, error = std::move(opened.error())] { done(std::unexpected(error)); });
        });
}

void Program_disks::release(const Address& address, std::function<void()> done)
{
    servers_.at(address)->close([this, address, done = std::move(done)] {
        loop_.defer([this, address, done] { // the server is not to go in its own call
            servers_.erase(address);
            claims_.release(address);
            done();
        });
    });
}

void Program_disks::grow(const Address& address, std::uint64_t bytes, device::Done done)
{
    servers_.at(address)->grow(bytes, std::move(done));
}

// The claim goes by the file, not by its name.
void Program_disks::while_closed(const Address& address, const device::Work& work, device::Done done)
{
    const Disk disk = servers_.at(address)->disk();
    servers_.at(address)->while_closed(
        [this, address, disk, work](device::Done back) {
            auto worked = work();
            if (const auto now = identify(disk)) {
                claims_.add(address, *now, disk);
            }
            back(std::move(worked));
        },
        std::move(done));
}

Result<void> Program_disks::adopt(const device::Task& task, const Disk& disk, const Json& record)
{
    server_for(task, disk).adopt(record);
    if (!disk.is_remote()) {
        claims_.add(task.address, TRY(identify(disk)), disk);
    }
    return {};
}

} // namespace vmm::disk

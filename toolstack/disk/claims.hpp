// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who uses which file or block device as a disk, so that two guests do not write into each other's file
// systems. Goes by inode or device number: another name of the same thing is the same thing. It knows only
// this daemon's own devices; what else dom0 does with a file is image_file.hpp's question.

#include "toolstack/base/error.hpp"
#include "toolstack/config/disk.hpp"
#include "toolstack/device/address.hpp"

#include <sys/stat.h>
#include <sys/types.h>

#include <map>
#include <string>

namespace vmm::disk
{

struct Identity {
    bool is_device = false;
    dev_t device   = 0; // of the file system, or the block device itself
    ino_t inode    = 0; // files only

    [[nodiscard]] static Identity of(const struct stat& status);
    friend bool operator==(const Identity&, const Identity&) = default;
};

class Claims
{
  public:
    // A writer is alone; readers may be many; those who all say `w!` know what they do. The error
    // (Errc::busy) says who has it.
    [[nodiscard]] Result<void> check(const device::Address& who, const Identity& what,
                                     const config::Disk& disk) const;
    void add(const device::Address& who, const Identity& what, const config::Disk& disk);
    void release(const device::Address& who) { claims_.erase(who); }

  private:
    struct Claim {
        Identity what;
        config::Disk_access access;
        std::string vdev;
    };
    std::map<device::Address, Claim> claims_;
};

} // namespace vmm::disk

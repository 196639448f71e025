// SPDX-License-Identifier: Apache-2.0
#pragma once
// The target of a disk, looked at and opened: it exists, is a file or a block device, has a size, and nobody
// else in dom0 writes it. What the content means is not looked at. Errors are whole sentences for the user.

#include "toolstack/base/error.hpp"
#include "toolstack/base/unique_fd.hpp"
#include "toolstack/config/disk.hpp"
#include "toolstack/disk/claims.hpp"
#include "toolstack/disk/sysfs.hpp"

#include <cstdint>

namespace vmm::disk
{

struct Image_file {
    // Of a block device with one writer it is exclusive: while it is open, dom0 cannot mount the device.
    Unique_fd fd;
    Identity identity;
    std::uint64_t bytes = 0;
};

// By its name only: it may be open for others.
[[nodiscard]] Result<Identity> identify(const config::Disk& disk);

[[nodiscard]] Result<Image_file> open_image(const config::Disk& disk, const Sysfs& sysfs);

// Opened only to look at, by a successor of who opened it.
[[nodiscard]] Result<Image_file> look_again(const config::Disk& disk);

// As it is now.
[[nodiscard]] Result<std::uint64_t> size_of(const Unique_fd& file);

// Nobody in dom0 has the block device for himself.
// For the answer: QEMU's programs read it.
[[nodiscard]] Result<void> check_key_file(const config::Disk& disk);

// A raw file becomes larger, with nothing in the new part; nothing else does.
[[nodiscard]] Result<void> grow_file(const config::Disk& disk, std::uint64_t bytes);

[[nodiscard]] bool is_unclaimed(const std::string& device);

} // namespace vmm::disk

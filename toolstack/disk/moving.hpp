// SPDX-License-Identifier: Apache-2.0
#pragma once
// Disks of a domain that moves to another host, which has them from the same storage. What dom0's page cache
// holds of a disk is seen by its own host only: the source writes it out once the domain stands still and
// everything is answered, then the target forgets what it has read before.

#include "toolstack/base/error.hpp"
#include "toolstack/config/disk.hpp"

#include <vector>

namespace vmm::disk
{

// `devices_reach_guests`: there is an IOMMU, see README.md.
[[nodiscard]] Result<void> check_can_move(const config::Disk& disk, bool devices_reach_guests);

// On stable storage is what was written to the disks. They stay as they are for who has them open.
[[nodiscard]] Result<void> write_out(const std::vector<config::Disk>& disks);

// What is read from now on comes from the storage.
[[nodiscard]] Result<void> forget_cached(const std::vector<config::Disk>& disks);

} // namespace vmm::disk

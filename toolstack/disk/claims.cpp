// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/claims.hpp"

namespace vmm::disk
{

using config::Disk_access;

namespace
{

bool go_together(Disk_access one, Disk_access other)
{
    return one == other && one != Disk_access::read_write;
}

} // namespace

Identity Identity::of(const struct stat& status)
{
    if (S_ISBLK(status.st_mode)) {
        return {true, status.st_rdev, 0};
    }
    return {false, status.st_dev, status.st_ino};
}

Result<void> Claims::check(const device::Address& who, const Identity& what, const config::Disk& disk) const
{
    for (const auto& [other, claim] : claims_) {
        if (other != who && claim.what == what && !go_together(claim.access, disk.access)) {
            return fail(Errc::busy, "disk " + disk.vdev + ": " + disk.target + " is in use: it is disk " +
                                        claim.vdev + " of domain " + to_string(other.domain) + ", access " +
                                        std::string(config::to_string(claim.access)) +
                                        "; a writable disk has one user, unless all say w!");
        }
    }
    return {};
}

void Claims::add(const device::Address& who, const Identity& what, const config::Disk& disk)
{
    claims_[who] = {what, disk.access, disk.vdev};
}

} // namespace vmm::disk

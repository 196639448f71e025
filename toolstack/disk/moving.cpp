// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/moving.hpp"

#include "toolstack/base/unique_fd.hpp"
#include "toolstack/disk/image_file.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <string>

namespace vmm::disk
{

namespace
{

using config::Disk;

std::string name_of(const Disk& disk) { return "disk " + disk.vdev + ": " + disk.target; }

bool is_written(const Disk& disk)
{
    return !disk.is_empty() && disk.access != config::Disk_access::read_only;
}

// Of an NBD export this host caches nothing.
bool is_cached(const Disk& disk) { return is_written(disk) && !disk.is_remote(); }

// Beside who has it for himself.
Result<Unique_fd> open_beside(const Disk& disk)
{
    Unique_fd fd(::open(disk.target.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        return fail_errno(name_of(disk) + " cannot be opened");
    }
    return fd;
}

// None of them is dirty, which would stay: nobody has written here yet.
Result<void> drop_pages(const Disk& disk)
{
    const Unique_fd fd = TRY(open_beside(disk));
    int error          = 0;
    if (TRY(identify(disk)).is_device) {
        error = ::ioctl(fd.get(), BLKFLSBUF, 0) < 0 ? errno : 0;
    } else {
        error = ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
    }
    return error == 0
               ? Result<void>()
               : fail_errno(name_of(disk) + ": what the page cache has of it cannot be dropped", error);
}

// A loop device may read and write through the page cache, and others read it there: udev, for one, as soon
// as it comes.
Result<void> check_not_through_loop(const Disk& disk, bool devices_reach_guests)
{
    if (disk.backend != config::Disk_backend::phy || !is_written(disk) ||
        (devices_reach_guests && TRY(identify(disk)).is_device)) {
        return {};
    }
    return fail(Errc::unsupported,
                "disk " + disk.vdev +
                    " may go through this host's page cache, which the other host does not "
                    "see: leave out backendtype=phy");
}

} // namespace

Result<void> check_can_move(const Disk& disk, bool devices_reach_guests)
{
    if (disk.format != config::Disk_format::raw) {
        return fail(Errc::unsupported,
                    "disk " + disk.vdev + " is a " + std::string(config::to_string(disk.format)) +
                        " image, which one host at a time can have open: serve it to both by NBD, or "
                        "make it raw");
    }
    return check_not_through_loop(disk, devices_reach_guests);
}

Result<void> write_out(const std::vector<Disk>& disks)
{
    for (const Disk& disk : disks) {
        if (is_cached(disk) && ::fdatasync(TRY(open_beside(disk)).get()) < 0) {
            return fail_errno("what was written to " + name_of(disk) + " cannot be put on stable storage");
        }
    }
    return {};
}

Result<void> forget_cached(const std::vector<Disk>& disks)
{
    for (const Disk& disk : disks) {
        if (is_cached(disk)) {
            TRY(drop_pages(disk));
        }
    }
    return {};
}

} // namespace vmm::disk

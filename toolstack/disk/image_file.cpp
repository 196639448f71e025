// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/image_file.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

namespace vmm::disk
{

using config::Disk;
using config::Disk_access;

namespace
{

constexpr std::uint64_t kSector = 512;

std::string name_of(const Disk& disk) { return "disk " + disk.vdev + ": " + disk.target; }

std::unexpected<Error> cannot_open(const Disk& disk, int error_number)
{
    switch (error_number) {
    case ENOENT:
        return fail(Errc::not_found, name_of(disk) + " does not exist: create it, or correct the target");
    case EBUSY:
    case ETXTBSY:
        return fail(Errc::busy,
                    name_of(disk) +
                        " is in use in Domain-0: mounted, swap, or part of a RAID or volume group");
    case EROFS:
        return fail(Errc::read_only, name_of(disk) + " is on a read-only file system: give access=ro");
    case ENXIO:
    case ENOMEDIUM: return fail(Errc::not_found, name_of(disk) + " has no device or medium behind it");
    default: return fail_errno(name_of(disk) + " cannot be opened", error_number);
    }
}

Result<struct stat> look_at(const Disk& disk)
{
    struct stat status {
    };
    if (::stat(disk.target.c_str(), &status) < 0) {
        return cannot_open(disk, errno);
    }
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        return fail(Errc::invalid, name_of(disk) + " is neither a file nor a block device");
    }
    return status;
}

Result<Unique_fd> open_target(const Disk& disk, int flags)
{
    Unique_fd fd(::open(disk.target.c_str(), flags | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        return cannot_open(disk, errno);
    }
    return fd;
}

Result<Unique_fd> open_device(const Disk& disk)
{
    if (disk.access == Disk_access::shared) {
        return open_target(disk, O_RDWR);
    }
    if (disk.access == Disk_access::read_only) {
        TRY(open_target(disk, O_RDONLY | O_EXCL)); // for the moment: readers are many
        return open_target(disk, O_RDONLY);
    }
    Unique_fd fd  = TRY(open_target(disk, O_RDWR | O_EXCL));
    int read_only = 0;
    if (::ioctl(fd.get(), BLKROGET, &read_only) == 0 && read_only != 0) {
        return fail(Errc::read_only, name_of(disk) + " is a read-only device: give access=ro");
    }
    return fd;
}

// Loop devices show something as a device: somebody mounts it, or another tool gives it to a guest.
Result<void> check_loops(const Disk& disk, const Identity& identity, const Sysfs& sysfs)
{
    for (const Sysfs::Loop& loop : sysfs.loops()) {
        struct stat other {
        };
        if (::stat(loop.file.c_str(), &other) < 0 || Identity::of(other) != identity) {
            continue;
        }
        if (disk.access != Disk_access::read_only || !loop.read_only) {
            return fail(Errc::busy, name_of(disk) + " is in use in Domain-0: /dev/" + loop.name +
                                        " shows it; umount and losetup -d end that");
        }
    }
    return {};
}

} // namespace

Result<Identity> identify(const Disk& disk) { return Identity::of(TRY(look_at(disk))); }

Result<Image_file> open_image(const Disk& disk, const Sysfs& sysfs)
{
    struct stat status = TRY(look_at(disk));
    Image_file image;
    const int mode = disk.access == Disk_access::read_only ? O_RDONLY : O_RDWR;
    image.fd       = S_ISBLK(status.st_mode) ? TRY(open_device(disk)) : TRY(open_target(disk, mode));
    if (::fstat(image.fd.get(), &status) < 0) {
        return cannot_open(disk, errno);
    }
    image.identity = Identity::of(status);
    image.bytes    = TRY(size_of(image.fd));
    if (image.bytes < kSector) {
        return fail(Errc::invalid,
                    name_of(disk) + " has " + std::to_string(image.bytes) +
                        " bytes, and a disk at least one sector of 512: truncate -s 10G makes room");
    }
    if (disk.access != Disk_access::shared) {
        TRY(check_loops(disk, image.identity, sysfs));
    }
    return image;
}

Result<Image_file> look_again(const Disk& disk)
{
    TRY(look_at(disk));
    Image_file image;
    image.fd = TRY(open_target(disk, O_RDONLY));
    struct stat status {
    };
    if (::fstat(image.fd.get(), &status) < 0) {
        return cannot_open(disk, errno);
    }
    image.identity = Identity::of(status);
    image.bytes    = TRY(size_of(image.fd));
    return image;
}

Result<std::uint64_t> size_of(const Unique_fd& file)
{
    struct stat status {
    };
    std::uint64_t bytes = 0;
    if (::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode)) {
        return static_cast<std::uint64_t>(status.st_size);
    }
    if (::ioctl(file.get(), BLKGETSIZE64, &bytes) < 0) {
        return fail_errno("the size of a disk cannot be found out");
    }
    return bytes;
}

Result<void> check_key_file(const Disk& disk)
{
    struct stat status {
    };
    if (disk.key_file.empty()) {
        return {};
    }
    if (::stat(disk.key_file.c_str(), &status) < 0) {
        return errno == ENOENT
                   ? fail(Errc::not_found, "disk " + disk.vdev + ": its key file " + disk.key_file +
                                               " does not exist: create it, or correct key-file")
                   : fail_errno("disk " + disk.vdev + ": its key file " + disk.key_file +
                                " cannot be looked at");
    }
    if (!S_ISREG(status.st_mode) || status.st_size == 0) {
        return fail(Errc::invalid, "disk " + disk.vdev + ": its key file " + disk.key_file +
                                       " is empty, or no file: it is to hold the image's passphrase");
    }
    return {};
}

Result<void> grow_file(const Disk& disk, std::uint64_t bytes)
{
    if (disk.is_remote()) {
        return fail(Errc::unsupported, name_of(disk) + " is somebody else's: who serves it can make it grow");
    }
    if (S_ISBLK(TRY(look_at(disk)).st_mode)) {
        return fail(Errc::unsupported, name_of(disk) +
                                           " is a block device: make that grow in Domain-0 (lvextend "
                                           "or the like), and the domain is told");
    }
    const Unique_fd file = TRY(open_target(disk, O_RDWR));
    if (bytes <= TRY(size_of(file))) {
        return fail(Errc::invalid, name_of(disk) + " has that many bytes already, and does not shrink");
    }
    if (::ftruncate(file.get(), static_cast<off_t>(bytes)) < 0) {
        return fail_errno(name_of(disk) + " cannot grow");
    }
    return {};
}

bool is_unclaimed(const std::string& device)
{
    const Unique_fd fd(::open(device.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_EXCL));
    return fd || errno != EBUSY;
}

} // namespace vmm::disk

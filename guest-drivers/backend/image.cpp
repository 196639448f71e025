// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/image.hpp"

#include "guest-drivers/backend/memory_file_disk.hpp"
#include "guest-drivers/backend/uring_disk.hpp"
#include "guest-drivers/protocol/block.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <fstream>

namespace vmm::block
{

namespace
{

constexpr unsigned kSector = protocol::kSectorSize;

Result<struct stat> status_of(const std::string& path, int fd)
{
    struct stat status {
    };
    if (fstat(fd, &status) < 0) {
        return fail_errno("cannot look at " + path);
    }
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        return fail(Errc::invalid, path + " is neither a file nor a block device; name one that is");
    }
    return status;
}

// One writer, or any number of readers: for files by an advisory lock, for devices by the kernel.
Result<void> claim(const std::string& path, int fd, bool read_only)
{
    if (flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) {
        return {};
    }
    if (errno == EWOULDBLOCK) {
        return fail(Errc::busy, path + " is in use by another domain or program; detach it there first" +
                                    (read_only ? "" : ", or attach it read-only to all of them"));
    }
    return fail_errno("cannot lock " + path);
}

// Some file systems and devices have no direct I/O, or none for sectors of 512 bytes.
void use_direct_io(const Image& image, const std::string& path, unsigned logical_sector)
{
    const int flags = fcntl(image.fd.get(), F_GETFL);
    if (image.in_memory || logical_sector > kSector || fcntl(image.fd.get(), F_SETFL, flags | O_DIRECT) < 0) {
        return;
    }
    struct statx wide {
    };
    const bool told =
        statx(AT_FDCWD, path.c_str(), 0, STATX_DIOALIGN, &wide) == 0 && (wide.stx_mask & STATX_DIOALIGN) != 0;
    if (told && wide.stx_dio_offset_align > kSector) {
        fcntl(image.fd.get(), F_SETFL, flags);
    }
}

bool device_can_discard(dev_t number)
{
    const std::string device =
        "/sys/dev/block/" + std::to_string(major(number)) + ":" + std::to_string(minor(number));
    for (const char* queue : {"/queue", "/../queue"}) { // of the device; of the disk a partition is on
        std::uint64_t most = 0;
        if (std::ifstream(device + queue + "/write_zeroes_max_bytes") >> most) {
            return most > 0;
        }
    }
    return false;
}

// Behind the end there is nothing to lose, and the file system tells whether it knows how.
bool file_can_discard(int fd, const struct stat& status)
{
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, status.st_size, kSector) == 0;
}

} // namespace

Result<std::uint64_t> measure_image(const Image& image)
{
    std::uint64_t bytes = 0;
    if (image.device) {
        if (ioctl(image.fd.get(), BLKGETSIZE64, &bytes) < 0) {
            return fail_errno("cannot measure the block device");
        }
    } else {
        struct stat status {
        };
        if (fstat(image.fd.get(), &status) < 0) {
            return fail_errno("cannot measure the image");
        }
        bytes = static_cast<std::uint64_t>(status.st_size);
    }
    return bytes / kSector;
}

Result<Image> open_image(const std::string& path, const Image_options& options)
{
    Image image;
    struct stat named {
    };
    // O_EXCL without O_CREAT is for devices: nobody else has it open so, or mounted.
    const bool is_device = stat(path.c_str(), &named) == 0 && S_ISBLK(named.st_mode);
    const int exclusive  = is_device && !options.read_only ? O_EXCL : 0;
    image.fd.reset(open(path.c_str(), (options.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | exclusive));
    if (!image.fd) {
        return errno == EBUSY
                   ? fail(Errc::busy, path + " is mounted or in use; unmount it or attach it read-only")
                   : fail_errno("cannot open " + path + (options.read_only ? "" : " for writing"));
    }
    const struct stat status = TRY(status_of(path, image.fd.get()));
    image.device             = S_ISBLK(status.st_mode);
    if (!image.device) {
        TRY(claim(path, image.fd.get(), options.read_only));
    }
    struct statfs system {
    };
    image.in_memory = !image.device && fstatfs(image.fd.get(), &system) == 0 &&
                      (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);

    int logical_sector       = kSector;
    unsigned physical_sector = kSector;
    if (image.device) {
        ioctl(image.fd.get(), BLKSSZGET, &logical_sector);
        ioctl(image.fd.get(), BLKPBSZGET, &physical_sector);
    }
    use_direct_io(image, path, static_cast<unsigned>(logical_sector));

    image.shape.read_only       = options.read_only;
    image.shape.sectors         = TRY(measure_image(image));
    image.shape.physical_sector = physical_sector;
    image.shape.discard_granularity =
        static_cast<std::uint32_t>(image.device ? physical_sector : status.st_blksize);
    image.shape.discard =
        options.discard && !options.read_only &&
        (image.device ? device_can_discard(status.st_rdev) : file_can_discard(image.fd.get(), status));
    if (image.shape.sectors == 0) {
        return fail(Errc::invalid,
                    path + " is empty; give it the size the disk shall have (truncate -s SIZE)");
    }
    return image;
}

Result<std::unique_ptr<Disk>> open_disk(Image image, Event_loop& loop)
{
    if (image.in_memory) {
        return std::make_unique<Memory_file_disk>(std::move(image));
    }
    return Uring_disk::create(std::move(image), loop);
}

} // namespace vmm::block

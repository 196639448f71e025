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

#include <chrono>
#include <fstream>
#include <thread>

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

// One writer, or any number of readers: for files by an advisory lock, for devices by the kernel. What a
// killed backend left with the kernel holds on to both until it has ended, so nobody writes before that.
template <class Attempt>
bool with_patience(int busy, Attempt attempt)
{
    constexpr int kTries = 50;
    for (int tries = 0; !attempt(); ++tries) {
        if (errno != busy || tries == kTries) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(40));
    }
    return true;
}

std::unexpected<Error> in_use(const std::string& path)
{
    return fail(Errc::busy, path +
                                " is in use by another domain or program, or mounted; end that, or attach it "
                                "read-only everywhere");
}

// Network file systems show locks to all hosts, also that of the host from which a domain comes.
std::unexpected<Error> is_locked(const std::string& path)
{
    return fail(Errc::busy, path +
                                " is in use by another domain or program, here or on a host that shares its "
                                "file system; end that, or attach it read-only everywhere, or, if a domain "
                                "comes here with it, see xm(1), migrate");
}

Result<Unique_fd> open_alone(const std::string& path, const Image_options& options)
{
    const bool read_only = options.read_only;
    struct stat named {
    };
    // O_EXCL without O_CREAT is for devices: nobody else has it open so, or mounted.
    const bool device = stat(path.c_str(), &named) == 0 && S_ISBLK(named.st_mode);
    const int flags =
        (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | (device && !read_only && !options.shared ? O_EXCL : 0);
    Unique_fd fd;
    if (!with_patience(EBUSY, [&] { return fd.reset(open(path.c_str(), flags)), bool(fd); })) {
        return errno == EBUSY ? in_use(path)
                              : fail_errno("cannot open " + path + (read_only ? "" : " for writing"));
    }
    const int lock = (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB;
    if (!device && !options.shared &&
        !with_patience(EWOULDBLOCK, [&] { return flock(fd.get(), lock) == 0; })) {
        return errno == EWOULDBLOCK ? is_locked(path) : fail_errno("cannot lock " + path);
    }
    return fd;
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
    image.fd                 = TRY(open_alone(path, options));
    const struct stat status = TRY(status_of(path, image.fd.get()));
    image.device             = S_ISBLK(status.st_mode);
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

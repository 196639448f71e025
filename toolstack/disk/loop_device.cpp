// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/loop_device.hpp"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <optional>

namespace vmm::disk
{

namespace
{

constexpr const char* kControl = "/dev/loop-control";
constexpr unsigned kAttempts   = 16; // others take loop devices too

// Nothing: somebody else was faster.
Result<std::optional<Loop_device>> configure(unsigned index, const loop_config& config)
{
    Loop_device loop;
    loop.index           = index;
    const bool read_only = (config.info.lo_flags & LO_FLAGS_READ_ONLY) != 0;
    loop.fd.reset(::open(loop.path().c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
    if (!loop.fd) {
        return fail_errno("cannot open " + loop.path());
    }
    if (::ioctl(loop.fd.get(), LOOP_CONFIGURE, &config) < 0) {
        return errno == EBUSY ? Result<std::optional<Loop_device>>(std::nullopt)
                              : fail_errno("cannot set up " + loop.path());
    }
    struct stat status {
    };
    if (::fstat(loop.fd.get(), &status) < 0) {
        return fail_errno("cannot look at " + loop.path());
    }
    loop.number = status.st_rdev;
    return loop;
}

} // namespace

Result<Loop_device> Kernel_loop_driver::attach(const Loop_request& request)
{
    const Unique_fd control(::open(kControl, O_RDWR | O_CLOEXEC));
    if (!control) {
        return fail_errno(std::string("cannot open ") + kControl + " (modprobe loop)");
    }
    loop_config config{};
    config.fd            = static_cast<unsigned>(request.file);
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (request.direct) {
        config.info.lo_flags |= LO_FLAGS_DIRECT_IO;
    }
    if (request.read_only) {
        config.info.lo_flags |= LO_FLAGS_READ_ONLY;
    }
    for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
        const int index = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (index < 0) {
            return fail_errno("no loop device is free");
        }
        if (auto loop = TRY(configure(static_cast<unsigned>(index), config))) {
            return std::move(*loop);
        }
    }
    return fail(Errc::busy, "no loop device could be had: others took each one that was free");
}

Result<void> Kernel_loop_driver::take_over_size(unsigned index)
{
    const std::string path = "/dev/loop" + std::to_string(index);
    const Unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd || ::ioctl(fd.get(), LOOP_SET_CAPACITY) < 0) {
        return fail_errno("cannot give " + path + " its new size");
    }
    return {};
}

} // namespace vmm::disk

// SPDX-License-Identifier: Apache-2.0
#pragma once
// A file or block device as a block device, by the kernel's loop driver [loop(4)]. It lives exactly as long
// as somebody has it open (LO_FLAGS_AUTOCLEAR): this object, then blkback. So nothing is left behind however
// this process ends. Flushes reach stable storage, past the page cache or through it.

#include "toolstack/base/error.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <sys/types.h>

#include <string>

namespace vmm::disk
{

struct Loop_device {
    unsigned index = 0;
    dev_t number   = 0;
    Unique_fd fd;

    [[nodiscard]] std::string path() const { return "/dev/loop" + std::to_string(index); }
};

struct Loop_request {
    int file       = -1; // stays open in the kernel, with what it excludes
    bool read_only = false;
    // Past the page cache, wherever the file system can.
    bool direct    = false;
};

// The kernel's driver; tests have one of their own.
class Loop_driver
{
  public:
    virtual ~Loop_driver() = default;

    [[nodiscard]] virtual Result<Loop_device> attach(const Loop_request& request) = 0;
    // What it shows has another size now.
    [[nodiscard]] virtual Result<void> take_over_size(unsigned index)             = 0;
};

class Kernel_loop_driver final : public Loop_driver
{
  public:
    [[nodiscard]] Result<Loop_device> attach(const Loop_request& request) override;
    [[nodiscard]] Result<void> take_over_size(unsigned index) override;
};

} // namespace vmm::disk

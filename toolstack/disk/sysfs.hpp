// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the kernel tells in sysfs about block devices and about the backends that serve them to guests. `root`
// is /sys; tests bring a folder of their own.

#include "toolstack/base/error.hpp"
#include "toolstack/device/address.hpp"

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vmm::disk
{

class Sysfs
{
  public:
    Sysfs() : Sysfs("/sys") {}
    explicit Sysfs(std::string root) : root_(std::move(root)) {}

    // blkback has opened the block device it was given [Linux drivers/block/xen-blkback/xenbus.c].
    [[nodiscard]] bool backend_serves(const device::Address& address) const;
    // The backend's device still exists in the kernel, whatever the store says.
    [[nodiscard]] bool backend_exists(const device::Address& address) const;

    struct Loop {
        std::string name; // "loop3"
        std::string file; // what it shows
        bool read_only = false;
    };
    [[nodiscard]] std::vector<Loop> loops() const; // those in use
    [[nodiscard]] bool loop_in_use(unsigned index) const;
    [[nodiscard]] bool loop_is_direct(unsigned index) const; // past the page cache

  private:
    [[nodiscard]] std::optional<std::string> read(const std::string& path) const;
    [[nodiscard]] bool exists(const std::string& path) const;

    std::string root_;
};

} // namespace vmm::disk

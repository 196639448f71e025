// SPDX-License-Identifier: Apache-2.0
#pragma once
// A raw image file or a block device of dom0, opened for one guest: alone if it is to be written. Not a
// disk yet: open_disk() makes one of it, of the kind that serves it best.

#include "guest-drivers/backend/disk.hpp"
#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <memory>
#include <string>

namespace vmm::block
{

struct Image_options {
    bool read_only = false;
    bool shared    = false; // others may write it, too: the guests see to it that this ends well
    bool discard   = true;  // offer it if the image can
};

struct Image {
    Unique_fd fd;
    Disk_shape shape;
    bool device    = false;
    bool in_memory = false; // on tmpfs: no operation waits for anything
};

// O_DIRECT where the image can take sectors of 512 bytes that way.
[[nodiscard]] Result<Image> open_image(const std::string& path, const Image_options& options);

// In sectors; what does not fill one is not counted.
[[nodiscard]] Result<std::uint64_t> measure_image(const Image& image);

[[nodiscard]] Result<std::unique_ptr<Disk>> open_disk(Image image, Event_loop& loop);

} // namespace vmm::block

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/qemu_image.hpp"

namespace vmm::disk
{

namespace
{

// QEMU's name for it.
std::string driver_of(config::Disk_format format)
{
    return format == config::Disk_format::vhd ? "vpc" : std::string(to_string(format));
}

// A comma ends a value in QEMU's options, and two are one.
std::string as_value(const std::string& text)
{
    std::string value;
    for (const char c : text) {
        value.append(c == ',' ? 2 : 1, c);
    }
    return value;
}

} // namespace

Qemu_image qemu_image(const config::Disk& disk, const std::string& format_option)
{
    const std::string driver = driver_of(disk.format);
    if (disk.key_file.empty()) {
        return {{format_option, driver}, disk.target};
    }
    const std::string key = disk.format == config::Disk_format::luks ? "key-secret" : "encrypt.key-secret";
    return {{"--object=secret,id=key,file=" + as_value(disk.key_file), "--image-opts"},
            "driver=" + driver + "," + key + "=key,file.filename=" + as_value(disk.target)};
}

} // namespace vmm::disk

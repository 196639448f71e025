// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/disk.hpp"

#include "toolstack/config/domain_config.hpp"
#include "toolstack/config/shown.hpp"
#include "toolstack/config/virtual_disk_number.hpp"

#include <algorithm>
#include <array>

namespace vmm::config
{

namespace
{

template <class Value, std::size_t size>
using Names = std::array<std::pair<Value, std::string_view>, size>;

// The first name of a value is the one we write.
constexpr Names<Disk_format, 10> kFormats{{{Disk_format::raw, "raw"},
                                           {Disk_format::qcow, "qcow"},
                                           {Disk_format::qcow2, "qcow2"},
                                           {Disk_format::qed, "qed"},
                                           {Disk_format::vhd, "vhd"},
                                           {Disk_format::vhd, "vpc"},
                                           {Disk_format::vhdx, "vhdx"},
                                           {Disk_format::vmdk, "vmdk"},
                                           {Disk_format::vdi, "vdi"},
                                           {Disk_format::luks, "luks"}}};
constexpr Names<Disk_access, 6> kAccesses{{{Disk_access::read_only, "ro"},
                                           {Disk_access::read_only, "r"},
                                           {Disk_access::read_write, "rw"},
                                           {Disk_access::read_write, "w"},
                                           {Disk_access::shared, "w!"},
                                           {Disk_access::shared, "!"}}};
constexpr Names<Disk_backend, 3> kBackends{
    {{Disk_backend::automatic, "auto"}, {Disk_backend::phy, "phy"}, {Disk_backend::qdisk, "qdisk"}}};

template <class Value, std::size_t size>
std::string_view name_in(const Names<Value, size>& names, Value value)
{
    return std::ranges::find(names, value, &std::pair<Value, std::string_view>::first)->second;
}

template <class Value, std::size_t size>
std::optional<Value> value_in(const Names<Value, size>& names, std::string_view text)
{
    const auto* const it = std::ranges::find(names, text, &std::pair<Value, std::string_view>::second);
    return it == names.end() ? std::nullopt : std::optional{it->first};
}

std::expected<void, std::string> check_target(const Disk& disk)
{
    if (disk.is_empty())
        return disk.cdrom ? std::expected<void, std::string>{}
                          : std::unexpected("target: is missing: name a file or block device of Domain-0");
    if (auto good = check_path(disk.target); !good)
        return std::unexpected("target: " + good.error());
    if (disk.is_remote() && disk.format != Disk_format::raw)
        return std::unexpected("format: an NBD export is \"raw\": whoever serves it knows the format");
    if (!disk.is_remote() && disk.target.front() != '/')
        return std::unexpected("target: \"" + shown(disk.target) + "\" is not an absolute path");
    return {};
}

// A comma would end it when the disk is written as text.
std::expected<void, std::string> check_key(const Disk& disk)
{
    const bool may_be_encrypted = disk.format == Disk_format::luks || disk.format == Disk_format::qcow2;
    if (disk.key_file.empty())
        return disk.format == Disk_format::luks
                   ? std::unexpected(
                         "key-file: is missing: name the file with the passphrase of the luks image")
                   : std::expected<void, std::string>{};
    if (!may_be_encrypted)
        return std::unexpected("key-file: is for images of format \"luks\" or \"qcow2\"");
    if (auto good = check_path(disk.key_file); !good)
        return std::unexpected("key-file: " + good.error());
    if (disk.key_file.front() != '/' || disk.key_file.find(',') != std::string::npos)
        return std::unexpected("key-file: \"" + shown(disk.key_file) +
                               "\" is not an absolute path without commas");
    return {};
}

} // namespace

std::string_view to_string(Disk_format format) { return name_in(kFormats, format); }
std::string_view to_string(Disk_access access) { return name_in(kAccesses, access); }
std::string_view to_string(Disk_backend backend) { return name_in(kBackends, backend); }
std::optional<Disk_format> parse_disk_format(std::string_view text) { return value_in(kFormats, text); }
std::optional<Disk_access> parse_disk_access(std::string_view text) { return value_in(kAccesses, text); }
std::optional<Disk_backend> parse_disk_backend(std::string_view text) { return value_in(kBackends, text); }

bool Disk::is_remote() const { return target.starts_with("nbd://") || target.starts_with("nbd+unix://"); }

std::uint32_t Disk::number() const { return virtual_disk_number(vdev).value(); }

std::expected<void, std::string> check_disk(const Disk& disk)
{
    if (disk.vdev.empty())
        return std::unexpected("vdev: is missing: say what the guest sees it as, like \"xvda\"");
    if (const auto number = virtual_disk_number(disk.vdev); !number)
        return std::unexpected("vdev: " + number.error());
    if (auto good = check_target(disk); !good)
        return good;
    if (auto good = check_key(disk); !good)
        return good;
    if (disk.cdrom && disk.access != Disk_access::read_only)
        return std::unexpected("access: a CD-ROM is read-only: give \"ro\" or leave it out");
    if (disk.backend == Disk_backend::phy && (disk.format != Disk_format::raw || disk.is_remote()))
        return std::unexpected("backendtype: \"phy\" serves raw images and block devices only");
    return {};
}

std::string write_disk(const Disk& disk)
{
    std::string text = "vdev=" + disk.vdev + ", format=" + std::string{to_string(disk.format)} +
                       ", access=" + std::string{to_string(disk.access)};
    if (disk.cdrom)
        text += ", devtype=cdrom";
    if (disk.backend != Disk_backend::automatic)
        text += ", backendtype=" + std::string{to_string(disk.backend)};
    if (!disk.discard)
        text += ", no-discard";
    if (disk.direct_io_safe)
        text += ", direct-io-safe";
    if (!disk.key_file.empty())
        text += ", key-file=" + disk.key_file;
    return text + ", target=" + disk.target;
}

} // namespace vmm::config

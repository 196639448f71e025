// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/disk.hpp"
#include "toolstack/config/json_values.hpp"

namespace vmm::config
{

namespace
{

using Json = nlohmann::ordered_json;

template <class Value>
Read read_name(const Json& value, Value& target, std::optional<Value> (*parse)(std::string_view))
{
    const auto parsed = value.is_string() ? parse(value.get<std::string>()) : std::nullopt;
    if (!parsed)
        return std::unexpected("has a value that is not known");
    target = *parsed;
    return {};
}

Read read_field(const std::string& name, const Json& value, Disk& disk)
{
    if (name == "target")
        return read_text(value, disk.target);
    if (name == "vdev")
        return read_text(value, disk.vdev);
    if (name == "format")
        return read_name(value, disk.format, parse_disk_format);
    if (name == "access")
        return read_name(value, disk.access, parse_disk_access);
    if (name == "backendtype")
        return read_name(value, disk.backend, parse_disk_backend);
    if (name == "key_file")
        return read_text(value, disk.key_file);
    if (name == "cdrom")
        return read_flag(value, disk.cdrom);
    if (name == "discard")
        return read_flag(value, disk.discard);
    if (name == "direct_io_safe")
        return read_flag(value, disk.direct_io_safe);
    return std::unexpected("is not a field of a disk");
}

} // namespace

Json to_json(const Disk& disk)
{
    return {{"vdev", disk.vdev},
            {"target", disk.target},
            {"format", to_string(disk.format)},
            {"access", to_string(disk.access)},
            {"backendtype", to_string(disk.backend)},
            {"key_file", disk.key_file},
            {"cdrom", disk.cdrom},
            {"discard", disk.discard},
            {"direct_io_safe", disk.direct_io_safe}};
}

std::expected<Disk, std::string> disk_from_json(const Json& json)
{
    if (!json.is_object())
        return std::unexpected("expected a JSON object");
    Disk disk;
    for (const auto& [name, value] : json.items())
        if (const auto read = read_field(name, value, disk); !read)
            return std::unexpected(name + ": " + read.error());
    if (auto good = check_disk(disk); !good)
        return std::unexpected(std::move(good.error()));
    return disk;
}

} // namespace vmm::config

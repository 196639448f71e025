// SPDX-License-Identifier: Apache-2.0
// block-attach, block-detach, block-list, block-resize, cd-insert, cd-eject. The words of a disk are those of
// `disk =` in xm.cfg(5).
#include "toolstack/xm/command.hpp"
#include "toolstack/xm/devices.hpp"
#include "toolstack/xm/memory_size.hpp"

#include "toolstack/config/disk.hpp"
#include "toolstack/config/virtual_disk_number.hpp"

namespace vmm::xm
{

namespace
{

constexpr const char* kType = "vbd";

std::optional<config::Disk> disk_of(const Json& row)
{
    auto disk = config::parse_disk(text_of(row, "spec"));
    return disk ? std::optional(*std::move(disk)) : std::nullopt;
}

// "" when the drive is empty; what the kernel serves in its place is among the nodes.
Json shown_disk(const Json& row)
{
    const auto disk  = disk_of(row);
    const Json nodes = row.value("nodes", Json::object());
    return {{"domid", row.value("domid", 0U)},
            {"number", row.value("number", 0U)},
            {"vdev", disk ? disk->vdev : ""},
            {"target", disk ? disk->target : ""},
            {"format", disk ? to_string(disk->format) : ""},
            {"access", disk ? to_string(disk->access) : ""},
            {"cdrom", disk && disk->cdrom},
            {"device", text_of(nodes, "physical-device-path")},
            {"sectors", text_of(nodes, "sectors")},
            {"state", text_of(row, "backend_state")},
            {"config", text_of(row, "spec")},
            {"backend_path", text_of(row, "backend_path")}};
}

// The columns of xl.
void print_row(const Json& row, std::ostream& out)
{
    const auto number = std::to_string(row.value("number", 0U));
    out << column(number, 5) << column("0", 3) << column(number, 6)
        << column(std::to_string(row.value("state", 0)), 5) << column(ring_field(row, "event-channel"), 6)
        << column(ring_field(row, row.value("ring", Json::object()).contains("ring-ref0") ? "ring-ref0"
                                                                                          : "ring-ref"),
                  8)
        << one_line(text_of(row, "backend_path")) << '\n';
}

Outcome<unsigned> number_of(const std::string& word)
{
    const auto number = config::virtual_disk_number(word);
    if (!number)
        return usage_error(number.error());
    return *number;
}

Outcome<Json> change(Invocation& invocation, const config::Disk& drive)
{
    return invocation.call(control::op::device_change, {{"domain", invocation.word(0)},
                                                        {"type", kType},
                                                        {"spec", config::write_disk(drive)},
                                                        {"force", invocation.has("force")}});
}

// The drive that the second word names, as it is now.
Outcome<config::Disk> drive_of(Invocation& invocation)
{
    const auto number = TRY(number_of(invocation.word(1)));
    for (const auto& row : TRY(device_rows(invocation, invocation.word(0), kType))) {
        const auto disk = disk_of(row);
        if (disk && disk->cdrom && row.value("number", 0U) == number)
            return *disk;
    }
    return std::unexpected(Failure{Exit::failed, "bad-value",
                                   "\"" + invocation.word(0) + "\" has no CD-ROM drive " +
                                       invocation.word(1) + ": `xm block-list` shows its disks"});
}

config::Disk emptied(config::Disk drive)
{
    drive.target.clear();
    drive.key_file.clear();
    drive.format  = config::Disk_format::raw;
    drive.backend = config::Disk_backend::automatic;
    return drive;
}

} // namespace

Outcome<> block_attach(Invocation& invocation)
{
    const auto disk = config::parse_disk(spec_of(invocation));
    if (!disk)
        return usage_error(disk.error().message);
    return attach_device(invocation, kType, config::write_disk(*disk));
}

Outcome<> block_detach(Invocation& invocation)
{
    return detach_device(invocation, kType, TRY(number_of(invocation.word(1))));
}

Outcome<> block_list(Invocation& invocation)
{
    return list_devices(invocation, {.type    = kType,
                                     .plural  = "disks",
                                     .heading = "Vdev  BE  handle state evt-ch ring-ref BE-path",
                                     .shown   = shown_disk,
                                     .print   = print_row});
}

Outcome<> block_resize(Invocation& invocation)
{
    const auto number = TRY(number_of(invocation.word(1)));
    const auto kib    = parse_memory_kib(invocation.word(2));
    if (!kib)
        return usage_error("\"" + invocation.word(2) +
                           "\" is no size: give a whole number of MiB, or one with k, m, g or t");
    const auto answer = TRY(invocation.call(
        control::op::device_grow,
        {{"domain", invocation.word(0)}, {"type", kType}, {"number", number}, {"bytes", *kib * 1024}}));
    invocation.print_json(answer);
    return {};
}

// A medium that is in the drive is ejected first.
Outcome<> cd_insert(Invocation& invocation)
{
    const auto old = TRY(drive_of(invocation));
    // As in block-attach: the medium may be in any format.
    const auto medium =
        config::parse_disk("vdev=" + old.vdev + ",devtype=cdrom,target=" + invocation.word(2));
    if (!medium)
        return usage_error(medium.error().message);
    auto drive    = emptied(old);
    drive.target  = medium->target;
    drive.format  = medium->format;
    drive.backend = medium->backend;
    if (drive.is_empty())
        return usage_error("name the file or device to insert, or use `xm cd-eject`");
    if (!old.is_empty())
        TRY(change(invocation, emptied(old)));
    invocation.print_json(TRY(change(invocation, drive)));
    return {};
}

Outcome<> cd_eject(Invocation& invocation)
{
    const auto drive = TRY(drive_of(invocation));
    if (drive.is_empty())
        return std::unexpected(Failure{Exit::failed, "bad-value", "drive " + drive.vdev + " is empty"});
    invocation.print_json(TRY(change(invocation, emptied(drive))));
    return {};
}

} // namespace vmm::xm

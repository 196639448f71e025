// SPDX-License-Identifier: Apache-2.0
// The text of a disk: parameters between commas, positional (target, format, vdev, access), named, or a bare
// word.
#include "toolstack/config/disk.hpp"
#include "toolstack/config/nearest.hpp"
#include "toolstack/config/shown.hpp"

#include <algorithm>
#include <set>
#include <vector>

namespace vmm::config
{

namespace
{

using Read = std::expected<void, std::string>; // the error is a clause

std::string in_quotes(std::string_view text) { return "\"" + shown(text) + "\""; }

struct Draft_disk {
    Disk disk;
    std::set<std::string_view> given;
    bool prefixed = false; // "file:...": then the format has no position

    bool take(std::string_view part) { return given.insert(part).second; }
};

// As xl: a path that does not begin at the root is one below /dev.
std::string as_path(std::string_view target)
{
    return target.empty() || target.front() == '/' ? std::string{target} : "/dev/" + std::string{target};
}

// "file:/a", "phy:vg/b", "qcow2:/c": how targets were written before there were keys.
Read read_target(std::string_view text, Draft_disk& draft)
{
    Disk& disk = draft.disk;
    for (const std::string_view scheme : {"nbd://", "nbd+unix://"}) {
        if (text.starts_with(scheme)) {
            disk.target = text;
            return {};
        }
    }
    const auto colon = text.find(':');
    const auto slash = text.find('/');
    if (colon == std::string_view::npos || slash < colon) {
        disk.target = as_path(text);
        return {};
    }
    const auto prefix = text.substr(0, colon);
    draft.prefixed    = true;
    if (const auto format = parse_disk_format(prefix)) {
        disk.format = *format;
    } else if (prefix == "tap" || prefix == "tap2" || prefix == "ioemu") {
        return read_target(text.substr(colon + 1), draft); // "tap:qcow2:/a"
    } else if (prefix != "file" && prefix != "phy" && prefix != "aio") {
        return std::unexpected(in_quotes(prefix) +
                               ": block scripts are not supported: make the device in Domain-0 "
                               "and give its path");
    }
    disk.target = as_path(text.substr(colon + 1));
    return {};
}

Read read_format(std::string_view text, Draft_disk& draft)
{
    const auto format = parse_disk_format(text);
    if (!format && !text.empty() && text != "empty")
        return std::unexpected(in_quotes(text) +
                               " is not a format: give \"raw\", \"qcow2\", \"vmdk\", \"vdi\", "
                               "\"vhdx\", \"vhd\", \"qcow\", \"qed\" or \"luks\"");
    draft.disk.format = format.value_or(Disk_format::raw);
    return {};
}

Read read_vdev(std::string_view text, Draft_disk& draft)
{
    if (text.ends_with(":cdrom")) {
        text.remove_suffix(6);
        draft.disk.cdrom = true;
    } else if (text.ends_with(":disk")) {
        text.remove_suffix(5);
    }
    draft.disk.vdev = text;
    return {};
}

Read read_access(std::string_view text, Draft_disk& draft)
{
    const auto access = parse_disk_access(text);
    if (!access)
        return std::unexpected(in_quotes(text) +
                               " is not an access mode: give \"ro\", \"rw\", or \"w!\" for a disk "
                               "that others write too");
    draft.disk.access = *access;
    return {};
}

Read read_devtype(std::string_view text, Draft_disk& draft)
{
    if (text != "disk" && text != "cdrom")
        return std::unexpected(in_quotes(text) + " is not a type of disk: give \"disk\" or \"cdrom\"");
    draft.disk.cdrom = text == "cdrom";
    return {};
}

Read read_backendtype(std::string_view text, Draft_disk& draft)
{
    if (text == "tap" || text == "standalone" || text == "other")
        return std::unexpected(in_quotes(text) +
                               " is not supported: leave it out, or give \"phy\" or \"qdisk\"");
    const auto backend = parse_disk_backend(text);
    if (!backend)
        return std::unexpected(in_quotes(text) +
                               " is not a backend: leave it out, or give \"phy\" or \"qdisk\"");
    draft.disk.backend = *backend;
    return {};
}

Read read_key_file(std::string_view text, Draft_disk& draft)
{
    draft.disk.key_file = text;
    return {};
}

Read read_backend(std::string_view text, Draft_disk&)
{
    if (text == "0" || text == "Domain-0")
        return {};
    return std::unexpected("driver domains are not supported yet: disks come from Domain-0");
}

Read read_specification(std::string_view text, Draft_disk&)
{
    if (text == "xen")
        return {};
    return std::unexpected(in_quotes(text) + " is not supported: a guest's disks are Xen's paravirtual ones");
}

Read refuse_script(std::string_view, Draft_disk&)
{
    return std::unexpected("block scripts are not supported: make the device in Domain-0 and give its path");
}

struct Key {
    std::string_view name;
    Read (*read)(std::string_view value, Draft_disk& draft);
};

constexpr Key kKeys[] = {
    {"target", read_target},   {"format", read_format},
    {"vdev", read_vdev},       {"access", read_access},
    {"devtype", read_devtype}, {"backendtype", read_backendtype},
    {"backend", read_backend}, {"specification", read_specification},
    {"script", refuse_script}, {"key-file", read_key_file},
};
constexpr std::string_view kWords[]     = {"cdrom", "discard", "no-discard", "direct-io-safe"};
constexpr std::string_view kPositions[] = {"target", "format", "vdev", "access"};

const Key* find_key(std::string_view name)
{
    const auto* const it = std::ranges::find(kKeys, name, &Key::name);
    return it == std::end(kKeys) ? nullptr : it;
}

std::string unknown_key(std::string_view name)
{
    std::vector<std::string_view> all;
    for (const auto& key : kKeys)
        all.push_back(key.name);
    const auto close = nearest(name, all);
    return "unknown parameter " + in_quotes(name) + ": " +
           (close ? "did you mean \"" + std::string{*close} + "\"?" : "xm.cfg(5) lists those there are");
}

bool read_word(std::string_view word, Draft_disk& draft)
{
    if (std::ranges::find(kWords, word) == std::end(kWords))
        return false;
    if (word == "cdrom")
        draft.disk.cdrom = true;
    else if (word == "direct-io-safe")
        draft.disk.direct_io_safe = true;
    else
        draft.disk.discard = word == "discard";
    return true;
}

Read read_named(std::string_view name, std::string_view value, Draft_disk& draft)
{
    const Key* const key = find_key(name);
    if (key == nullptr)
        return std::unexpected(unknown_key(name));
    if (!draft.take(key->name))
        return std::unexpected(std::string{name} + ": is given twice");
    if (auto read = key->read(value, draft); !read)
        return std::unexpected(std::string{name} + ": " + read.error());
    return {};
}

Read read_position(std::string_view value, std::size_t& next, Draft_disk& draft)
{
    while (next < std::size(kPositions) &&
           (draft.given.contains(kPositions[next]) || (draft.prefixed && kPositions[next] == "format")))
        ++next;
    if (next == std::size(kPositions))
        return std::unexpected(in_quotes(value) +
                               ": nothing more is expected here; the order is target, format, vdev, "
                               "access");
    const auto position = kPositions[next++];
    return value.empty() ? Read{} : read_named(position, value, draft);
}

std::string_view trim(std::string_view text, std::size_t& at)
{
    const auto first = std::min(text.find_first_not_of(" \t"), text.size());
    at += first;
    text.remove_prefix(first);
    const auto last = text.find_last_not_of(" \t");
    return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

// A named target takes all that follows, commas included, since a path may have them.
std::size_t end_of_parameter(std::string_view text, std::size_t begin)
{
    auto start       = begin;
    const auto first = trim(text.substr(begin), start);
    return first.starts_with("target=") ? text.size() : std::min(text.find(',', begin), text.size());
}

} // namespace

std::expected<Disk, Disk_error> parse_disk(std::string_view text)
{
    Draft_disk draft;
    std::size_t position = 0;
    for (std::size_t begin = 0; begin <= text.size();) {
        const auto end = end_of_parameter(text, begin);
        auto at        = begin;
        const auto one = trim(text.substr(begin, end - begin), at);
        begin          = end + 1;
        if (one.empty() && end == text.size())
            break; // a comma at the end
        const auto equals = one.find('=');
        const bool named =
            equals != std::string_view::npos && !one.starts_with('/') && one.find('/') > equals;
        Read read;
        if (named)
            read = read_named(one.substr(0, equals), one.substr(equals + 1), draft);
        else if (!read_word(one, draft))
            read = read_position(one, position, draft);
        if (!read)
            return std::unexpected(Disk_error{at, std::move(read.error())});
    }
    if (draft.disk.cdrom && !draft.given.contains("access"))
        draft.disk.access = Disk_access::read_only;
    if (auto good = check_disk(draft.disk); !good)
        return std::unexpected(Disk_error{0, std::move(good.error())});
    return std::move(draft.disk);
}

} // namespace vmm::config

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/virtual_disk_number.hpp"

#include "toolstack/config/lexer.hpp"
#include "toolstack/config/shown.hpp"

#include <charconv>
#include <optional>

namespace vmm::config
{

namespace
{

using Number = std::expected<std::uint32_t, std::string>;

constexpr std::string_view kForms = "give a name like \"xvda\", \"sda1\", \"hda\" or \"d0p0\"";

struct Family {
    std::string_view prefix;
    std::uint32_t most_disks;
    std::uint32_t last_partition;
};

constexpr Family kXvd{"xvd", 1U << 20, 255};
constexpr Family kSd{"sd", 16, 15};
constexpr Family kHd{"hd", 4, 63};

struct Place {
    std::uint32_t disk      = 0;
    std::uint32_t partition = 0; // 0: the whole disk
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// All of `text`, without a sign or leading zeros.
std::optional<std::uint32_t> plain_number(std::string_view text)
{
    std::uint32_t number    = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() ||
        (text.size() > 1 && text.front() == '0'))
        return std::nullopt;
    return number;
}

// Letters count a to z, then aa to zz, and so on; what follows is the partition.
std::optional<Place> lettered_place(std::string_view rest)
{
    std::uint64_t disks = 0; // so many come before, plus one
    std::size_t at      = 0;
    for (; at < rest.size() && rest[at] >= 'a' && rest[at] <= 'z' && at < 6; ++at)
        disks = disks * 26 + static_cast<std::uint64_t>(rest[at] - 'a') + 1;
    if (at == 0)
        return std::nullopt;
    Place place{static_cast<std::uint32_t>(disks - 1), 0};
    if (at == rest.size())
        return place;
    const auto partition = plain_number(rest.substr(at));
    if (!partition || *partition == 0)
        return std::nullopt;
    place.partition = *partition;
    return place;
}

// "d3p1"; the partition may be left out.
std::optional<Place> numbered_place(std::string_view name)
{
    const auto p    = name.find('p');
    const auto disk = plain_number(name.substr(1, p == std::string_view::npos ? p : p - 1));
    const auto partition =
        p == std::string_view::npos ? std::optional<std::uint32_t>{0} : plain_number(name.substr(p + 1));
    if (!disk || !partition)
        return std::nullopt;
    return Place{*disk, *partition};
}

std::unexpected<std::string> no_name(std::string_view name)
{
    return std::unexpected("\"" + shown(name) +
                           "\" is not the name of a virtual disk: " + std::string{kForms});
}

std::expected<Place, std::string> check(const Family& family, std::string_view name,
                                        const std::optional<Place>& place)
{
    if (!place)
        return no_name(name);
    if (place->disk >= family.most_disks || place->partition > family.last_partition)
        return std::unexpected("\"" + shown(name) + "\" is out of range: " + std::string{family.prefix} +
                               " names have " + std::to_string(family.most_disks) +
                               " disks and partitions up to " + std::to_string(family.last_partition));
    return *place;
}

Number xvd_number(std::string_view name, const std::optional<Place>& place)
{
    const auto good = check(kXvd, name, place);
    if (!good)
        return std::unexpected(good.error());
    if (good->disk <= 15 && good->partition <= 15)
        return 202U << 8 | good->disk << 4 | good->partition;
    return 1U << 28 | good->disk << 8 | good->partition;
}

Number sd_number(std::string_view name)
{
    const auto good = check(kSd, name, lettered_place(name.substr(2)));
    if (!good)
        return std::unexpected(good.error());
    return 8U << 8 | good->disk << 4 | good->partition;
}

Number hd_number(std::string_view name)
{
    const auto good = check(kHd, name, lettered_place(name.substr(2)));
    if (!good)
        return std::unexpected(good.error());
    const std::uint32_t major = good->disk < 2 ? 3 : 22; // two disks on each of two IDE channels
    return major << 8 | (good->disk % 2) << 6 | good->partition;
}

} // namespace

Number virtual_disk_number(std::string_view name)
{
    if (name.starts_with("xvd"))
        return xvd_number(name, lettered_place(name.substr(3)));
    if (name.starts_with("sd"))
        return sd_number(name);
    if (name.starts_with("hd"))
        return hd_number(name);
    if (name.size() > 1 && name.front() == 'd' && is_digit(name[1]))
        return xvd_number(name, numbered_place(name));
    if (!name.empty() && is_digit(name.front())) {
        const auto number = parse_number(name);
        if (number && *number < 1U << 29)
            return static_cast<std::uint32_t>(*number);
    }
    return no_name(name);
}

} // namespace vmm::config

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/memory_size.hpp"

#include "toolstack/config/domain_config.hpp"
#include "toolstack/config/shown.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace vmm::xm
{

namespace
{

// KiB in one unit. "k", "kb" and "kib" all mean the power of two, in either case.
std::optional<std::uint64_t> unit_kib(std::string_view unit)
{
    static constexpr std::string_view kLetters = "kmgt";
    std::string lower{unit};
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (lower.empty())
        lower = "m";
    const auto power = kLetters.find(lower.front());
    const auto rest  = std::string_view{lower}.substr(1);
    if (power == std::string_view::npos || !(rest.empty() || rest == "b" || rest == "ib"))
        return std::nullopt;
    return std::uint64_t{1} << (10 * power);
}

} // namespace

std::expected<std::uint64_t, std::string> parse_memory_kib(std::string_view text)
{
    static constexpr std::uint64_t kMost_kib = config::Limits::kMax_memory_mib << 10;
    std::uint64_t count                      = 0;
    const auto [end, error]                  = std::from_chars(text.data(), text.data() + text.size(), count);
    const auto unit = unit_kib(text.substr(static_cast<std::size_t>(end - text.data())));
    if (error == std::errc::invalid_argument || !unit)
        return std::unexpected("\"" + config::shown(text) +
                               "\" is no memory size: give a whole number of MiB, or one with k, m, g or t");
    if (error == std::errc::result_out_of_range || count > kMost_kib / *unit)
        return std::unexpected("\"" + config::shown(text) + "\" is more than any domain can have (16t)");
    if (count == 0)
        return std::unexpected("a domain cannot run without memory: give at least 1k");
    return count * *unit;
}

} // namespace vmm::xm

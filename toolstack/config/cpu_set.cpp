// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/cpu_set.hpp"

#include "toolstack/config/shown.hpp"

#include <charconv>
#include <utility>

namespace vmm::config
{

namespace
{

constexpr std::string_view kBlank = " \t";

std::string_view trim(std::string_view s)
{
    const auto first = s.find_first_not_of(kBlank);
    if (first == std::string_view::npos)
        return {};
    return s.substr(first, s.find_last_not_of(kBlank) - first + 1);
}

std::string quoted(std::string_view s) { return "\"" + shown(s) + "\""; }

std::expected<unsigned, std::string> parse_cpu(std::string_view text)
{
    unsigned cpu            = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cpu);
    if (text.empty() || end != text.data() + text.size() || error == std::errc::invalid_argument)
        return std::unexpected(quoted(text) +
                               " is not a CPU number: write \"all\", or numbers and ranges like \"0-3,^1\"");
    if (error == std::errc::result_out_of_range || cpu > kMax_cpu_number)
        return std::unexpected("CPU " + shown(text) + " is out of range, give 0 to " +
                               std::to_string(kMax_cpu_number));
    return cpu;
}

struct Range {
    unsigned first, last;
};

std::expected<Range, std::string> parse_range(std::string_view text)
{
    const auto dash  = text.find('-');
    const auto first = parse_cpu(trim(text.substr(0, dash)));
    if (!first)
        return std::unexpected(first.error());
    if (dash == std::string_view::npos)
        return Range{*first, *first};
    const auto last = parse_cpu(trim(text.substr(dash + 1)));
    if (!last)
        return std::unexpected(last.error());
    if (*last < *first)
        return std::unexpected("range " + quoted(text) + " runs backwards");
    return Range{*first, *last};
}

std::set<unsigned> every_cpu()
{
    std::set<unsigned> all;
    for (unsigned cpu = 0; cpu <= kMax_cpu_number; ++cpu)
        all.insert(all.end(), cpu);
    return all;
}

} // namespace

std::expected<Cpu_set, std::string> Cpu_set::parse(std::string_view text)
{
    if (trim(text) == "all")
        return Cpu_set{};

    std::set<unsigned> cpus;
    for (std::string_view rest = text;;) {
        const auto comma    = rest.find(',');
        auto entry          = trim(rest.substr(0, comma));
        const bool take_out = entry.starts_with('^');
        if (take_out)
            entry = trim(entry.substr(1));
        if (entry == "all") {
            cpus = take_out ? std::set<unsigned>{} : every_cpu();
        } else {
            const auto range = parse_range(entry);
            if (!range)
                return std::unexpected(range.error());
            for (unsigned cpu = range->first; cpu <= range->last; ++cpu)
                take_out ? void(cpus.erase(cpu)) : void(cpus.insert(cpu));
        }
        if (comma == std::string_view::npos)
            break;
        rest = rest.substr(comma + 1);
    }
    if (cpus.empty())
        return std::unexpected(quoted(text) + " leaves no CPU to run on");
    return of(std::move(cpus));
}

Cpu_set Cpu_set::of(std::set<unsigned> cpus)
{
    Cpu_set result;
    if (cpus.size() <= kMax_cpu_number) // the full set and the empty one both mean "all"
        result.cpus_ = std::move(cpus);
    return result;
}

std::string Cpu_set::to_string() const
{
    if (is_all())
        return "all";
    std::string text;
    for (auto it = cpus_.begin(); it != cpus_.end();) {
        const unsigned first = *it;
        unsigned last        = first;
        for (++it; it != cpus_.end() && *it == last + 1; ++it)
            last = *it;
        text += (text.empty() ? "" : ",") + std::to_string(first);
        if (last != first)
            text += "-" + std::to_string(last);
    }
    return text;
}

} // namespace vmm::config

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/cpu/wanted_features.hpp"

#include <algorithm>
#include <ranges>

namespace vmm::cpu
{

namespace
{

// xl's letters: x, k and s leave a feature as the host has it, which is what happens without them.
std::expected<void, std::string> read_single(std::string_view item, Wanted_features& wanted)
{
    const auto equals = item.find('=');
    const auto name   = item.substr(0, equals);
    const auto value  = equals == std::string_view::npos ? std::string_view{} : item.substr(equals + 1);
    const auto bit    = find_feature(name);
    if (!bit) {
        return std::unexpected("\"" + std::string(name) +
                               "\" is no feature: `xm cpu-policy` lists what this host offers");
    }
    if (value == "0" || value == "1") {
        wanted.single.emplace_back(*bit, value == "1");
    } else if (value != "x" && value != "k" && value != "s") {
        return std::unexpected("\"" + std::string(item) + "\": give " + std::string(name) + "=0 or " +
                               std::string(name) + "=1");
    }
    return {};
}

} // namespace

std::expected<Wanted_features, std::string> Wanted_features::parse(std::string_view text)
{
    Wanted_features wanted;
    bool first = true;
    for (const auto part : std::views::split(text, ',')) {
        const std::string_view item(part.begin(), part.end());
        if (!first) {
            if (auto good = read_single(item, wanted); !good) {
                return std::unexpected(std::move(good.error()));
            }
        } else if (item != "host") {
            auto set = Feature_set::parse(item);
            if (!set) {
                return std::unexpected(
                    "\"" + std::string(item) +
                    "\" is neither \"host\" nor a set that `xm cpu-policy` prints: " + set.error());
            }
            wanted.set = *set;
        }
        first = false;
    }
    return first ? std::unexpected<std::string>("is empty: give \"host\"")
                 : std::expected<Wanted_features, std::string>(wanted);
}

std::string Wanted_features::to_string() const
{
    std::string text = set ? set->to_string() : "host";
    for (const auto& [feature, there] : single) {
        text += "," + name_of(feature) + (there ? "=1" : "=0");
    }
    return text;
}

Result<Feature_set> Wanted_features::out_of(const Feature_set& offered) const
{
    Feature_set asked = set.value_or(offered);
    for (const auto& [feature, there] : single) {
        asked.set(feature, there);
    }
    if (const auto gone = missing(asked, offered); !gone.empty()) {
        return fail(Errc::unsupported, "cpuid: this host does not offer " + listed(gone));
    }
    return asked & offered;
}

} // namespace vmm::cpu

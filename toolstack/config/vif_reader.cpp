// SPDX-License-Identifier: Apache-2.0
// The reader of vif_config.hpp: fields separated by commas, each `key=value` or the word `nat`.
#include "toolstack/config/nearest.hpp"
#include "toolstack/config/shown.hpp"
#include "toolstack/config/utf8.hpp"
#include "toolstack/config/vif_config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace vmm::config
{

namespace
{

using Checked = std::expected<void, std::string>;
using Link    = Vif_config::Link;

struct Reading {
    Vif_config vif;
    bool nat = false; // the word was there
    std::string script;
    std::vector<std::string>* remarks = nullptr;
};

std::string_view trimmed(std::string_view text)
{
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && blank(text.back()))
        text.remove_suffix(1);
    return text;
}

template <class Number>
std::expected<Number, std::string> number(std::string_view text, Number least, Number most)
{
    Number value            = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
    if (error == std::errc{} && end == text.end() && value >= least && value <= most)
        return value;
    return std::unexpected("expected a number from " + std::to_string(least) + " to " + std::to_string(most) +
                           ", found \"" + shown(text) + "\"");
}

Checked read_device_name(std::string_view text, std::string& target)
{
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '_' || c == '-';
    };
    if (text.empty() || text.size() > Vif_config::kMax_device_name || !std::ranges::all_of(text, good) ||
        text == "." || text == "..")
        return std::unexpected("expected the name of a network device, 1 to 15 letters, digits and . _ -, "
                               "found \"" +
                               shown(text) + "\"");
    target = text;
    return {};
}

Checked read_mac(std::string_view text, Reading& reading)
{
    const auto mac = Mac_address::parse(text);
    if (!mac)
        return std::unexpected(mac.error());
    reading.vif.mac = *mac;
    return {};
}

Checked read_type(std::string_view text, Reading&)
{
    if (text == "vif" || text == "netfront")
        return {};
    if (text == "ioemu")
        return std::unexpected("a PVH domain has no emulated network card: leave type out or give \"vif\"");
    return std::unexpected("expected \"vif\", found \"" + shown(text) + "\"");
}

Checked read_model(std::string_view, Reading& reading)
{
    if (reading.remarks != nullptr)
        reading.remarks->emplace_back("model: ignored, a PVH domain has no emulated network card");
    return {};
}

Checked read_script(std::string_view text, Reading& reading)
{
    const auto control = [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; };
    if (text.empty() || text.size() > 255 || std::ranges::any_of(text, control) || !is_utf8(text))
        return std::unexpected("expected bridge, route, nat, or the path of a script of your own");
    reading.script = text;
    return {};
}

Checked read_backend(std::string_view text, Reading&)
{
    if (text == "0" || text == "Domain-0")
        return {};
    return std::unexpected("\"" + shown(text) +
                           "\": only Domain-0 serves network interfaces here: leave backend out");
}

Checked read_ips(std::string_view text, Reading& reading)
{
    reading.vif.ips.clear();
    while (!(text = trimmed(text)).empty()) {
        const auto end = std::min(text.find(' '), text.size());
        const auto ip  = Ip_network::parse(text.substr(0, end));
        if (!ip)
            return std::unexpected(ip.error());
        reading.vif.ips.push_back(*ip);
        text.remove_prefix(end);
    }
    if (reading.vif.ips.empty())
        return std::unexpected("expected one or more IP addresses separated by blanks");
    return {};
}

// "10Mb/s", "2MB/s@20ms": K, M and G are powers of 1000, b is bits and B bytes.
std::expected<Vif_rate, std::string> parse_rate(std::string_view text)
{
    const auto bad = [&](std::string_view why) {
        return std::unexpected("\"" + shown(text) + "\" " + std::string{why} +
                               ": expected a rate as in 10Mb/s or 2MB/s@20ms");
    };
    Vif_rate rate;
    const char* const end = text.end();
    auto [at, error]      = std::from_chars(text.begin(), end, rate.bytes_per_second);
    if (error != std::errc{} || at == end)
        return bad("is not a rate");
    static constexpr std::string_view kPowers = "KMG";
    if (const auto power = kPowers.find(*at); power != std::string_view::npos) {
        for (std::size_t i = 0; i <= power; ++i)
            if (__builtin_mul_overflow(rate.bytes_per_second, 1000ul, &rate.bytes_per_second))
                return bad("is too large");
        ++at;
    }
    const std::string_view rest(at, end);
    if (!rest.starts_with("b/s") && !rest.starts_with("B/s"))
        return bad("is not a rate");
    if (*at == 'b')
        rate.bytes_per_second /= 8;
    at += 3;
    if (at != end) {
        const auto [unit, wrong] = std::from_chars(at + 1, end, rate.interval_us);
        const std::string_view suffix(unit, end);
        const std::uint64_t scale = suffix == "s" ? 1'000'000 : suffix == "ms" ? 1'000 : 1;
        if (*at != '@' || wrong != std::errc{} ||
            (suffix != "s" && suffix != "ms" && suffix != "us" && !suffix.empty()))
            return bad("has a bad interval");
        const std::uint64_t interval = rate.interval_us * scale;
        if (interval == 0 || interval > std::numeric_limits<std::uint32_t>::max())
            return bad("has a bad interval");
        rate.interval_us = static_cast<std::uint32_t>(interval);
    }
    const auto credit = static_cast<unsigned __int128>(rate.bytes_per_second) * rate.interval_us / 1'000'000;
    if (credit == 0)
        return bad("lets nothing through");
    if (credit > std::numeric_limits<std::uint32_t>::max())
        return bad("is too large");
    return rate;
}

Checked read_rate(std::string_view text, Reading& reading)
{
    const auto rate = parse_rate(text);
    if (!rate)
        return std::unexpected(rate.error());
    reading.vif.rate = *rate;
    return {};
}

Checked read_number(std::string_view text, unsigned least, unsigned most, std::optional<unsigned>& target)
{
    const auto value = number(text, least, most);
    if (!value)
        return std::unexpected(value.error());
    target = *value;
    return {};
}

struct Field {
    std::string_view key;
    Checked (*read)(std::string_view text, Reading& reading);
};

constexpr Field kFields[] = {
    {"mac", read_mac},
    {"bridge", [](std::string_view t, Reading& r) { return read_device_name(t, r.vif.bridge); }},
    {"gatewaydev", [](std::string_view t, Reading& r) { return read_device_name(t, r.vif.gatewaydev); }},
    {"type", read_type},
    {"model", read_model},
    {"vifname", [](std::string_view t, Reading& r) { return read_device_name(t, r.vif.vifname); }},
    {"script", read_script},
    {"ip", read_ips},
    {"backend", read_backend},
    {"rate", read_rate},
    {"devid",
     [](std::string_view t, Reading& r) { return read_number(t, 0, Vif_config::kMax_devid, r.vif.devid); }},
    {"mtu", [](std::string_view t,
               Reading& r) { return read_number(t, Vif_config::kMin_mtu, Vif_config::kMax_mtu, r.vif.mtu); }},
};

Checked unknown(std::string_view key)
{
    std::vector<std::string_view> known{"nat"};
    for (const auto& field : kFields)
        known.push_back(field.key);
    const auto close = nearest(key, known);
    std::string all;
    for (const auto name : known)
        all += (all.empty() ? "" : ", ") + std::string{name};
    return std::unexpected("\"" + shown(key) + "\" is not known: " +
                           (close ? "did you mean \"" + std::string{*close} + "\"?" : "expected " + all));
}

Checked read_field(std::string_view text, Reading& reading)
{
    const auto equals = text.find('=');
    const auto key    = trimmed(text.substr(0, equals));
    if (equals == std::string_view::npos && key == "nat") {
        reading.nat = true;
        return {};
    }
    const auto* const field = std::ranges::find(kFields, key, &Field::key);
    if (field == std::end(kFields))
        return unknown(key);
    if (equals == std::string_view::npos)
        return std::unexpected("expected \"=\" and a value after \"" + std::string{key} + "\"");
    auto result = field->read(trimmed(text.substr(equals + 1)), reading);
    if (!result)
        return std::unexpected(std::string{key} + ": " + result.error());
    return result;
}

// The names of Xen's own scripts, with and without "vif-", mean what vmmd does itself.
std::optional<Link> built_in(std::string_view script)
{
    if (script.starts_with("vif-"))
        script.remove_prefix(4);
    if (script == "bridge")
        return Link::bridge;
    if (script == "route")
        return Link::route;
    if (script == "nat")
        return Link::nat;
    return std::nullopt;
}

Checked settle_link(Reading& reading)
{
    auto& vif = reading.vif;
    vif.link  = vif.bridge.empty() ? Link::nat : Link::bridge;
    if (!reading.script.empty()) {
        const auto link = built_in(reading.script);
        vif.link        = link.value_or(Link::script);
        if (!link)
            vif.script = reading.script.front() == '/'
                             ? reading.script
                             : std::string{Vif_config::kScripts_dir} + reading.script;
    }
    if (reading.nat && vif.link != Link::nat)
        return std::unexpected("\"nat\" does not go together with bridge= or another script=");
    if (vif.link == Link::bridge && vif.bridge.empty())
        return std::unexpected("script=bridge needs the name of the bridge: add bridge=NAME");
    if ((vif.link == Link::nat || vif.link == Link::route) && !vif.bridge.empty())
        return std::unexpected("bridge= does not go together with script=" + reading.script);
    if (vif.link == Link::route && vif.ips.empty())
        return std::unexpected("a routed interface needs its address: add ip=ADDRESS");
    if (!vif.gatewaydev.empty() && vif.link != Link::route && vif.link != Link::script)
        return std::unexpected("gatewaydev= is for routed interfaces: add script=route and ip=ADDRESS");
    return {};
}

} // namespace

std::expected<Vif_config, Bad_vif> parse_vif(std::string_view text, std::vector<std::string>* remarks)
{
    Reading reading;
    reading.remarks = remarks;
    for (std::size_t at = 0; at <= text.size();) {
        const auto end   = std::min(text.find(',', at), text.size());
        const auto field = text.substr(at, end - at);
        const auto inner = trimmed(field);
        if (!inner.empty())
            if (auto result = read_field(inner, reading); !result)
                return std::unexpected(
                    Bad_vif{static_cast<std::size_t>(inner.data() - text.data()), std::move(result.error())});
        at = end + 1;
    }
    if (auto result = settle_link(reading); !result)
        return std::unexpected(Bad_vif{0, std::move(result.error())});
    return std::move(reading.vif);
}

} // namespace vmm::config

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/ip_network.hpp"

#include "toolstack/config/shown.hpp"

#include <arpa/inet.h>
#include <charconv>

namespace vmm::config
{

std::expected<Ip_network, std::string> Ip_network::parse(std::string_view text)
{
    const auto bad = [&](const std::string& why) {
        return std::unexpected("\"" + shown(text) + "\" " + why);
    };
    const auto slash = text.find('/');
    const std::string address{text.substr(0, slash)};
    Ip_network result;
    result.is_v6 = address.find(':') != std::string::npos;
    if (::inet_pton(result.is_v6 ? AF_INET6 : AF_INET, address.c_str(), result.bytes.data()) != 1 ||
        address.find('\0') != std::string::npos)
        return bad("is not an IP address: expected one as in 192.168.1.2, 10.76.0.0/24 or fd00::2");
    result.prefix = result.bits();
    if (slash == std::string_view::npos)
        return result;
    const auto length       = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(length.begin(), length.end(), result.prefix);
    if (error != std::errc{} || end != length.end() || result.prefix > result.bits())
        return bad("has a bad prefix length: expected 0 to " + std::to_string(result.bits()) +
                   " after the '/'");
    return result;
}

Ip_network Ip_network::network() const
{
    Ip_network result = *this;
    for (unsigned bit = prefix; bit < bits(); ++bit) {
        auto& byte = result.bytes[bit / 8];
        byte       = static_cast<std::uint8_t>(byte & ~(0x80u >> (bit % 8)));
    }
    return result;
}

Ip_network Ip_network::host() const
{
    Ip_network result = *this;
    result.prefix     = bits();
    return result;
}

bool Ip_network::contains(const Ip_network& other) const
{
    if (is_v6 != other.is_v6 || other.prefix < prefix)
        return false;
    Ip_network cut = other;
    cut.prefix     = prefix;
    return cut.network() == network();
}

std::string Ip_network::address() const
{
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(is_v6 ? AF_INET6 : AF_INET, bytes.data(), text.data(), text.size());
    return text.data();
}

std::string Ip_network::to_string() const
{
    return is_host() ? address() : address() + "/" + std::to_string(prefix);
}

} // namespace vmm::config

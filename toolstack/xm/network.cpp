// SPDX-License-Identifier: Apache-2.0
// network-attach, network-detach, network-list. The words of an interface are those of `vif =` in xm.cfg(5).
#include "toolstack/xm/command.hpp"
#include "toolstack/xm/devices.hpp"

#include "toolstack/config/vif_config.hpp"

#include <charconv>
#include <cstdio>

namespace vmm::xm
{

namespace
{

constexpr const char* kType = "vif";

std::string mac_of(const Json& row)
{
    const auto vif = config::parse_vif(text_of(row, "spec"));
    return vif && vif->mac ? vif->mac->to_string() : "";
}

// What people ask for first; the rest is in the store.
Json interface_of(const Json& row)
{
    const Json nodes = row.value("nodes", Json::object());
    return {{"domid", row.value("domid", 0U)},
            {"devid", row.value("number", 0U)},
            {"mac", mac_of(row)},
            {"bridge", text_of(nodes, "bridge")},
            {"ip", text_of(nodes, "ip")},
            {"script", text_of(nodes, "script")},
            {"state", text_of(row, "backend_state")},
            {"config", text_of(row, "spec")},
            {"backend_path", text_of(row, "backend_path")}};
}

// The columns of xl.
void print_row(const Json& row, std::ostream& out)
{
    const auto number = std::to_string(row.value("number", 0U));
    const auto refs   = ring_field(row, "tx-ring-ref") + "/" + ring_field(row, "rx-ring-ref");
    out << column(number, 3) << column("0", 2) << column(mac_of(row), 17) << column(number, 6)
        << column(std::to_string(row.value("state", 0)), 5) << column(ring_field(row, "event-channel"), 8)
        << column(refs, 15) << one_line(text_of(row, "backend_path")) << '\n';
}

// An interface by its number, or by its address.
Outcome<unsigned> number_of(Invocation& invocation, const std::string& word)
{
    if (const auto mac = config::Mac_address::parse(word)) {
        const auto rows = TRY(device_rows(invocation, invocation.word(0), kType));
        for (const auto& row : rows)
            if (mac_of(row) == mac->to_string())
                return row.value("number", 0U);
        return std::unexpected(Failure{Exit::failed, "bad-value",
                                       "no interface of \"" + invocation.word(0) + "\" has mac " + word});
    }
    unsigned number         = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc{} || end != word.data() + word.size())
        return usage_error("\"" + word + "\" is neither the number nor the MAC address of an interface");
    return number;
}

} // namespace

Outcome<> network_attach(Invocation& invocation)
{
    const auto text = spec_of(invocation);
    std::vector<std::string> remarks;
    if (const auto vif = config::parse_vif(text, &remarks); !vif)
        return usage_error(vif.error().message);
    for (const auto& remark : remarks)
        invocation.warn(remark);
    return attach_device(invocation, kType, text);
}

Outcome<> network_detach(Invocation& invocation)
{
    return detach_device(invocation, kType, TRY(number_of(invocation, invocation.word(1))));
}

Outcome<> network_list(Invocation& invocation)
{
    return list_devices(invocation,
                        {.type    = kType,
                         .plural  = "interfaces",
                         .heading = "Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path",
                         .shown   = interface_of,
                         .print   = print_row});
}

} // namespace vmm::xm

// SPDX-License-Identifier: Apache-2.0
// network-attach, network-detach, network-list. The words of an interface are those of `vif =` in xm.cfg(5).
#include "toolstack/xm/command.hpp"

#include "toolstack/config/vif_config.hpp"

#include <charconv>
#include <cstdio>

namespace vmm::xm
{

namespace
{

constexpr const char* kType = "vif";

Outcome<Json> rows_of(Invocation& invocation, const std::string& domain)
{
    const auto answer = TRY(invocation.call(control::op::device_list, {{"domain", domain}, {"type", kType}}));
    return list_field(answer, "devices");
}

std::string text_of(const Json& object, const char* name)
{
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

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
    const Json ring  = row.value("ring", Json::object());
    const auto shown = [&](const char* name) {
        return text_of(ring, name).empty() ? "-1" : text_of(ring, name);
    };
    const auto number = std::to_string(row.value("number", 0U));
    const auto refs   = shown("tx-ring-ref") + "/" + shown("rx-ring-ref");
    const auto pad    = [](std::string text, std::size_t width) {
        text.resize(std::max(width, text.size()), ' ');
        return one_line(text) + " ";
    };
    out << pad(number, 3) << pad("0", 2) << pad(mac_of(row), 17) << pad(number, 6)
        << pad(std::to_string(row.value("state", 0)), 5) << pad(shown("event-channel"), 8) << pad(refs, 15)
        << one_line(text_of(row, "backend_path")) << '\n';
}

// An interface by its number, or by its address.
Outcome<unsigned> number_of(Invocation& invocation, const std::string& word)
{
    if (const auto mac = config::Mac_address::parse(word)) {
        const auto rows = TRY(rows_of(invocation, invocation.word(0)));
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

void network_detach_options(Options& options)
{
    options.add_options()("force", "take it away at once, whatever the domain does with it");
}

Outcome<> network_attach(Invocation& invocation)
{
    std::string text;
    for (std::size_t i = 1; i < invocation.words().size(); ++i)
        text += (i > 1 ? "," : "") + invocation.word(i);
    std::vector<std::string> remarks;
    if (const auto vif = config::parse_vif(text, &remarks); !vif)
        return usage_error(vif.error().message);
    for (const auto& remark : remarks)
        invocation.warn(remark);
    const auto answer = TRY(invocation.call(
        control::op::device_attach, {{"domain", invocation.word(0)}, {"type", kType}, {"spec", text}}));
    invocation.print_json(answer);
    return {};
}

Outcome<> network_detach(Invocation& invocation)
{
    const auto number = TRY(number_of(invocation, invocation.word(1)));
    const auto answer =
        TRY(invocation.call(control::op::device_detach, {{"domain", invocation.word(0)},
                                                         {"type", kType},
                                                         {"number", number},
                                                         {"force", invocation.has("force")}}));
    invocation.print_json(answer);
    return {};
}

Outcome<> network_list(Invocation& invocation)
{
    Json interfaces = Json::array();
    std::vector<Json> rows;
    for (const auto& domain : invocation.words())
        for (const auto& row : TRY(rows_of(invocation, domain))) {
            interfaces.push_back(interface_of(row));
            rows.push_back(row);
        }
    if (invocation.print_json({{"interfaces", std::move(interfaces)}}))
        return {};
    invocation.out() << "Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path\n";
    for (const auto& row : rows)
        print_row(row, invocation.out());
    return {};
}

} // namespace vmm::xm

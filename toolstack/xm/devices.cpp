// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/devices.hpp"

#include "toolstack/xm/command.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace vmm::xm
{

Outcome<Json> device_rows(Invocation& invocation, const std::string& domain, const char* type)
{
    const auto answer = TRY(invocation.call(control::op::device_list, {{"domain", domain}, {"type", type}}));
    return list_field(answer, "devices");
}

std::string spec_of(const Invocation& invocation)
{
    std::string text;
    for (std::size_t i = 1; i < invocation.words().size(); ++i)
        text += (i > 1 ? "," : "") + invocation.word(i);
    return text;
}

Outcome<> attach_device(Invocation& invocation, const char* type, const std::string& spec)
{
    const auto answer = TRY(invocation.call(
        control::op::device_attach, {{"domain", invocation.word(0)}, {"type", type}, {"spec", spec}}));
    invocation.print_json(answer);
    return {};
}

Outcome<> detach_device(Invocation& invocation, const char* type, unsigned number)
{
    const auto answer =
        TRY(invocation.call(control::op::device_detach, {{"domain", invocation.word(0)},
                                                         {"type", type},
                                                         {"number", number},
                                                         {"force", invocation.has("force")}}));
    invocation.print_json(answer);
    return {};
}

Outcome<> list_devices(Invocation& invocation, const Device_table& table)
{
    Json shown = Json::array();
    std::vector<Json> rows;
    for (const auto& domain : invocation.words())
        for (const auto& row : TRY(device_rows(invocation, domain, table.type))) {
            shown.push_back(table.shown(row));
            rows.push_back(row);
        }
    if (invocation.print_json({{table.plural, std::move(shown)}}))
        return {};
    invocation.out() << table.heading << '\n';
    for (const auto& row : rows)
        table.print(row, invocation.out());
    return {};
}

void device_detach_options(Options& options)
{
    options.add_options()("force", "take it away at once, whatever the domain does with it");
}

std::string text_of(const Json& object, const char* name)
{
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string ring_field(const Json& row, const char* name)
{
    const auto text = text_of(row.value("ring", Json::object()), name);
    return text.empty() ? "-1" : text;
}

std::string column(std::string text, std::size_t width)
{
    text.resize(std::max(width, text.size()), ' ');
    return one_line(text) + " ";
}

} // namespace vmm::xm

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/device_rows.hpp"

#include <algorithm>

namespace vmm::xm
{

Outcome<Json> device_rows(Invocation& invocation, const std::string& domain, const char* type)
{
    const auto answer = TRY(invocation.call(control::op::device_list, {{"domain", domain}, {"type", type}}));
    return list_field(answer, "devices");
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

// SPDX-License-Identifier: Apache-2.0
// What the commands that print tables have in common: rows out of vmmd's answers, and columns as xl has them,
// which scripts cut by.
#pragma once

#include "toolstack/xm/invocation.hpp"

#include <cstdio>
#include <string>
#include <vector>

namespace vmm::xm
{

template <class... Values>
std::string format(const char* pattern, Values... values)
{
    const int length = std::snprintf(nullptr, 0, pattern, values...);
    std::string text(static_cast<std::size_t>(length), '\0');
    std::snprintf(text.data(), text.size() + 1, pattern, values...);
    return text;
}

// The arguments of an operation on the domains named, or on all of them.
inline Json domain_arguments(const std::vector<std::string>& domains)
{
    Json args = Json::object();
    if (!domains.empty())
        args["domains"] = domains;
    return args;
}

template <class Row>
Outcome<std::vector<Row>> read_rows(const Json& list, Result<Row> (*read)(const Json&))
{
    std::vector<Row> rows;
    for (const auto& json : list) {
        auto row = read(json);
        if (!row)
            return std::unexpected(Failure{Exit::no_vmmd, "lost-vmmd", row.error().message});
        rows.push_back(*std::move(row));
    }
    return rows;
}

} // namespace vmm::xm

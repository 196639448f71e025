// SPDX-License-Identifier: Apache-2.0
#include "toolstack/device/records.hpp"

#include <cstdio>
#include <fstream>
#include <sstream>

namespace vmm::device
{

namespace
{

Json to_json(const Record& record)
{
    return Json{{"domid", to_number(record.address.domain)},
                {"type", record.address.type},
                {"number", record.address.number},
                {"backend", record.address.backend_type},
                {"spec", record.spec},
                {"note", record.note},
                {"plugged", record.plugged}};
}

// The library throws on a missing field or a wrong type; load() turns that into an error.
Record from_json(const Json& json)
{
    return {{Domid{json.at("domid").get<std::uint16_t>()}, json.at("type").get<std::string>(),
             json.at("number").get<unsigned>(), json.value("backend", "")},
            json.at("spec"),
            json.at("note"),
            json.at("plugged").get<bool>()};
}

} // namespace

Result<std::vector<Record>> Record_file::load() const
{
    std::ifstream file(path_);
    if (!file) {
        return errno == ENOENT ? Result<std::vector<Record>>(std::vector<Record>{})
                               : fail_errno("cannot read " + path_);
    }
    std::ostringstream text;
    text << file.rdbuf();
    try {
        std::vector<Record> records;
        for (const Json& json : Json::parse(text.str())) {
            records.push_back(from_json(json));
        }
        return records;
    } catch (const nlohmann::json::exception& error) {
        return fail(Errc::protocol, path_ + ": " + error.what());
    }
}

Result<void> Record_file::save(const std::vector<Record>& records) const
{
    Json json = Json::array();
    for (const Record& record : records) {
        json.push_back(to_json(record));
    }
    const std::string next = path_ + ".new";
    std::ofstream file(next, std::ios::trunc);
    file << json.dump(1, ' ', false, Json::error_handler_t::replace) << '\n';
    file.close();
    if (!file || std::rename(next.c_str(), path_.c_str()) < 0) {
        return fail_errno("cannot write " + path_);
    }
    return {};
}

void Record_file::set_aside() const { std::rename(path_.c_str(), (path_ + ".bad").c_str()); }

} // namespace vmm::device

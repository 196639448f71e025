// SPDX-License-Identifier: Apache-2.0
#include "toolstack/control/domain_rows.hpp"

#include <limits>

namespace vmm::control
{

namespace
{

struct Letter {
    char letter;
    bool Domain_state::*flag;
};

constexpr Letter kLetters[] = {
    {'r', &Domain_state::running},  {'b', &Domain_state::blocked}, {'p', &Domain_state::paused},
    {'s', &Domain_state::shutdown}, {'c', &Domain_state::crashed}, {'d', &Domain_state::dying},
};

// Reads fields of one object; after the first bad one all later reads do nothing and the error stays.
class Reader
{
  public:
    explicit Reader(const Json& json) : json_(json) {}

    template <class Number>
    void number(const char* key, Number& out)
    {
        const Json* value = field(key);
        if (value == nullptr)
            return;
        if (!value->is_number_unsigned() || value->get<std::uint64_t>() > std::numeric_limits<Number>::max())
            return spoil(key);
        out = static_cast<Number>(value->get<std::uint64_t>());
    }

    void text(const char* key, std::string& out)
    {
        const Json* value = field(key);
        if (value != nullptr && !value->is_string())
            return spoil(key);
        if (value != nullptr)
            out = value->get<std::string>();
    }

    void state(const char* key, Domain_state& out)
    {
        std::string letters;
        text(key, letters);
        if (bad_key_ != nullptr)
            return;
        const auto parsed = Domain_state::parse(letters);
        if (!parsed)
            return spoil(key);
        out = *parsed;
    }

    [[nodiscard]] bool has(const char* key) const
    {
        return json_.is_object() && json_.contains(key) && !json_.at(key).is_null();
    }

    template <class Row>
    [[nodiscard]] Result<Row> finish(Row row) const
    {
        if (bad_key_ != nullptr)
            return fail(Errc::protocol,
                        std::string{"vmmd sent a row whose \""} + bad_key_ + "\" is missing or wrong");
        return row;
    }

  private:
    const Json* field(const char* key)
    {
        if (bad_key_ == nullptr && has(key))
            return &json_.at(key);
        spoil(key);
        return nullptr;
    }

    void spoil(const char* key)
    {
        if (bad_key_ == nullptr)
            bad_key_ = key;
    }

    const Json& json_;
    const char* bad_key_ = nullptr;
};

} // namespace

std::string Domain_state::letters() const
{
    std::string text;
    for (const auto& [letter, flag] : kLetters)
        text += this->*flag ? letter : '-';
    return text;
}

std::optional<Domain_state> Domain_state::parse(std::string_view letters)
{
    if (letters.size() != std::size(kLetters))
        return std::nullopt;
    Domain_state state;
    for (std::size_t i = 0; i < letters.size(); ++i) {
        if (letters[i] == kLetters[i].letter)
            state.*kLetters[i].flag = true;
        else if (letters[i] != '-')
            return std::nullopt;
    }
    return state;
}

Json to_json(const Domain_row& row)
{
    Json json;
    json["domid"]           = row.domid;
    json["name"]            = row.name;
    json["uuid"]            = row.uuid;
    json["state"]           = row.state.letters();
    json["memory_kib"]      = row.memory_kib;
    json["shared_kib"]      = row.shared_kib;
    json["max_memory_kib"]  = row.max_memory_kib;
    json["vcpus"]           = row.vcpus;
    json["cpu_time_ns"]     = row.cpu_time_ns;
    json["shutdown_reason"] = row.shutdown_reason ? Json(*row.shutdown_reason) : Json();
    return json;
}

Json to_json(const Vcpu_row& row)
{
    Json json;
    json["domid"]         = row.domid;
    json["name"]          = row.name;
    json["vcpu"]          = row.vcpu;
    json["cpu"]           = row.cpu ? Json(*row.cpu) : Json();
    json["state"]         = row.state.letters();
    json["cpu_time_ns"]   = row.cpu_time_ns;
    json["affinity"]      = row.affinity;
    json["soft_affinity"] = row.soft_affinity;
    return json;
}

Json to_json(const Sched_row& row)
{
    return {{"domid", row.domid}, {"name", row.name}, {"weight", row.weight}, {"cap", row.cap}};
}

Result<Domain_row> domain_row_from_json(const Json& json)
{
    Domain_row row;
    Reader reader{json};
    reader.number("domid", row.domid);
    reader.text("name", row.name);
    reader.text("uuid", row.uuid);
    reader.state("state", row.state);
    reader.number("memory_kib", row.memory_kib);
    reader.number("shared_kib", row.shared_kib);
    reader.number("max_memory_kib", row.max_memory_kib);
    reader.number("vcpus", row.vcpus);
    reader.number("cpu_time_ns", row.cpu_time_ns);
    if (reader.has("shutdown_reason"))
        reader.text("shutdown_reason", row.shutdown_reason.emplace());
    return reader.finish(std::move(row));
}

Result<Vcpu_row> vcpu_row_from_json(const Json& json)
{
    Vcpu_row row;
    Reader reader{json};
    reader.number("domid", row.domid);
    reader.text("name", row.name);
    reader.number("vcpu", row.vcpu);
    if (reader.has("cpu"))
        reader.number("cpu", row.cpu.emplace());
    reader.state("state", row.state);
    reader.number("cpu_time_ns", row.cpu_time_ns);
    reader.text("affinity", row.affinity);
    reader.text("soft_affinity", row.soft_affinity);
    return reader.finish(std::move(row));
}

Result<Sched_row> sched_row_from_json(const Json& json)
{
    Sched_row row;
    Reader reader{json};
    reader.number("domid", row.domid);
    reader.text("name", row.name);
    reader.number("weight", row.weight);
    reader.number("cap", row.cap);
    return reader.finish(std::move(row));
}

} // namespace vmm::control

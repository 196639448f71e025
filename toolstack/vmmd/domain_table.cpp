// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/domain_table.hpp"

#include <algorithm>
#include <charconv>

namespace vmm
{

std::optional<Domid> parse_domid(std::string_view text)
{
    std::uint32_t number    = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number >= kFirstReservedDomid ||
        (text.size() > 1 && text.front() == '0')) {
        return std::nullopt;
    }
    return Domid{static_cast<std::uint16_t>(number)};
}

Domain& Domain_table::insert(std::unique_ptr<Domain> domain)
{
    Domain& inserted      = *domain;
    domains_[inserted.id] = std::move(domain);
    return inserted;
}

std::unique_ptr<Domain> Domain_table::take(Domid id)
{
    auto node = domains_.extract(id);
    return node ? std::move(node.mapped()) : nullptr;
}

Domain* Domain_table::find(Domid id) const
{
    const auto found = domains_.find(id);
    return found == domains_.end() ? nullptr : found->second.get();
}

Domain* Domain_table::find_name(std::string_view name) const
{
    const auto found = std::find_if(domains_.begin(), domains_.end(),
                                    [&](const auto& d) { return d.second->name() == name; });
    return found == domains_.end() ? nullptr : found->second.get();
}

Domain* Domain_table::find_uuid(const config::Uuid& uuid) const
{
    const auto found =
        std::find_if(domains_.begin(), domains_.end(), [&](const auto& d) { return d.second->uuid == uuid; });
    return found == domains_.end() ? nullptr : found->second.get();
}

Domain* Domain_table::find_named(std::string_view id_name_or_uuid) const
{
    if (const auto id = parse_domid(id_name_or_uuid)) {
        return find(*id);
    }
    if (Domain* named = find_name(id_name_or_uuid)) {
        return named;
    }
    const auto uuid = config::Uuid::parse(id_name_or_uuid);
    return uuid ? find_uuid(*uuid) : nullptr;
}

Result<void> Domain_table::check_name_free(std::string_view name) const
{
    if (name == kDom0Name) {
        return fail(Errc::exists, "the name Domain-0 belongs to dom0");
    }
    if (const Domain* other = find_name(name)) {
        return fail(Errc::exists, "domain " + to_string(other->id) + " is already called \"" +
                                      std::string(name) + "\"; choose another name or destroy that domain");
    }
    return {};
}

Result<void> Domain_table::check_uuid_free(const config::Uuid& uuid) const
{
    if (const Domain* other = find_uuid(uuid)) {
        return fail(Errc::exists, "domain " + to_string(other->id) + " (\"" + other->name() +
                                      "\") already has the UUID " + uuid.to_string());
    }
    return {};
}

} // namespace vmm

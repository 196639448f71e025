// SPDX-License-Identifier: Apache-2.0
#pragma once
// The domains this daemon made and keeps, and the names it has promised to domains under construction. Finds
// them the way users name them: by id, name or UUID. Dom0 and domains of other tools are not in it.

#include "toolstack/base/error.hpp"
#include "toolstack/vmmd/domain.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace vmm
{

inline constexpr std::string_view kDom0Name = "Domain-0";

class Domain_table
{
  public:
    using Domains = std::map<Domid, std::unique_ptr<Domain>>;

    Domain& insert(std::unique_ptr<Domain> domain);
    std::unique_ptr<Domain> take(Domid id);

    [[nodiscard]] Domain* find(Domid id) const;
    [[nodiscard]] Domain* find_name(std::string_view name) const;
    [[nodiscard]] Domain* find_uuid(const config::Uuid& uuid) const;
    // A number means an id, the usual form a UUID, anything else a name.
    [[nodiscard]] Domain* find_named(std::string_view id_name_or_uuid) const;
    [[nodiscard]] const Domains& all() const { return domains_; }

    // Errc::exists, saying which domain has it.
    [[nodiscard]] Result<void> check_name_free(std::string_view name) const;
    [[nodiscard]] Result<void> check_uuid_free(const config::Uuid& uuid) const;

  private:
    Domains domains_;
};

// "12" but not "012", "-1" or "70000".
[[nodiscard]] std::optional<Domid> parse_domid(std::string_view text);

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who may do what with a node. A node has a list of entries: the first names the owner, who may do
// everything, and the access of every domain not named by a later entry; each later entry grants one domain.
// Dom0 may do everything anywhere. Follows the "Permissions" part of Xen's docs/misc/xenstore.txt; text form
// is one letter and a domain number ("r5").

#include "toolstack/base/domid.hpp"
#include "toolstack/base/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vmm::store
{

enum class Access : std::uint8_t { none = 0, read = 1, write = 2, both = 3 };

struct Permission {
    Domid domid{};
    Access access = Access::none;

    friend bool operator==(const Permission&, const Permission&) = default;
};

using Permissions = std::vector<Permission>; // never empty on a node

// In whose name a request is made. The target is the domain a device model serves: it gets that domain's
// rights as well.
struct Caller {
    Domid domid = kDom0;
    std::optional<Domid> target{};

    [[nodiscard]] bool is_privileged() const { return domid == kDom0; }
};

[[nodiscard]] bool is_owner(const Caller& caller, const Permissions& permissions);
[[nodiscard]] bool may(const Caller& caller, const Permissions& permissions, Access wanted);

[[nodiscard]] Result<Permission> parse_permission(std::string_view text);
[[nodiscard]] std::string to_string(const Permission& permission);

} // namespace vmm::store

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/permissions.hpp"

#include "toolstack/store/wire.hpp"

#include <xen/io/xs_wire.h>

#include <limits>

namespace vmm::store
{
namespace
{

constexpr std::string_view kLetters = "nrwb"; // in the order of Access

bool acts_for(const Caller& caller, Domid domid) { return caller.domid == domid || caller.target == domid; }

Access access_of(const Caller& caller, const Permissions& permissions)
{
    for (std::size_t i = 1; i < permissions.size(); ++i) {
        if (acts_for(caller, permissions[i].domid)) {
            return permissions[i].access;
        }
    }
    return permissions.front().access;
}

} // namespace

bool is_owner(const Caller& caller, const Permissions& permissions)
{
    return caller.is_privileged() || acts_for(caller, permissions.front().domid);
}

bool may(const Caller& caller, const Permissions& permissions, Access wanted)
{
    if (is_owner(caller, permissions)) {
        return true;
    }
    const auto granted = static_cast<unsigned>(access_of(caller, permissions));
    const auto asked   = static_cast<unsigned>(wanted);
    return (granted & asked) == asked;
}

Result<Permission> parse_permission(std::string_view text)
{
    const std::size_t letter = text.empty() ? kLetters.npos : kLetters.find(text.front());
    const auto domid         = text.empty()
                                   ? std::nullopt
                                   : parse_decimal(text.substr(1), std::numeric_limits<std::uint16_t>::max());
    if (letter == kLetters.npos || !domid) {
        return fail(Errc::invalid, "a permission is one of n, r, w, b and a domain number, not '" +
                                       std::string(text.substr(0, 20)) + "'");
    }
    return Permission{Domid(*domid), static_cast<Access>(letter)};
}

std::string to_string(const Permission& permission)
{
    return kLetters[static_cast<std::size_t>(permission.access)] + vmm::to_string(permission.domid);
}

} // namespace vmm::store

// SPDX-License-Identifier: Apache-2.0
#pragma once
// The two rings every domain shares with dom0, store and console: told to the domain by HVM parameters, and
// granted to dom0. Their pages must be there already; what is on them stays.

#include "toolstack/base/error.hpp"
#include "toolstack/xen/build_control.hpp"

namespace vmm
{

struct Built_domain {
    Gfn store_page{};
    Gfn console_page{};
    Evtchn_port store_port{}; // the domain's ends
    Evtchn_port console_port{};
};

// In every grant table, by convention of all Xen guests and tools.
inline constexpr Grant_ref kConsoleGrant{0};
inline constexpr Grant_ref kStoreGrant{1};

// Of a domain that has no event channel yet: the store's gets port 1 and the console's port 2, always.
[[nodiscard]] Result<Built_domain> connect_rings(Build_control& build, Domid id);

} // namespace vmm

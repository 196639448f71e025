// SPDX-License-Identifier: Apache-2.0
#pragma once
// What saving a domain, forking and moving it share beside the supervisor's members: its description, and
// what people are told of one that was handed over without an answer.

#include "toolstack/save/saved_domain.hpp"
#include "toolstack/vmmd/domain.hpp"

#include <string>

namespace vmm
{

[[nodiscard]] Result<save::Saved_domain> describe_saved(Control& control, const Domain& domain);

// A clause that goes on after the domain's name.
[[nodiscard]] std::string handed_over_hint(const Domain& domain);

} // namespace vmm

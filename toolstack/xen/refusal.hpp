// SPDX-License-Identifier: Apache-2.0
#pragma once
// Turns a bare hypercall errno into the sentence a person reads: what was asked, for which domain, why it was
// refused.

#include "toolstack/base/error.hpp"
#include "toolstack/xen/types.hpp"

#include <optional>
#include <string_view>

namespace vmm
{

// "the hypervisor refused to unpause domain 3: No such process"
[[nodiscard]] std::unexpected<Error> refusal(const Error& from_call, std::string_view to_do_what,
                                             std::optional<Domid> id);

} // namespace vmm

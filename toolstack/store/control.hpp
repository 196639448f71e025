// SPDX-License-Identifier: Apache-2.0
#pragma once
// The commands of xenstore-control that make sense here: help, print, quota. Others are refused as xenstored
// refuses those it does not know. Dom0 only; the caller has checked that.

#include "toolstack/store/store.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vmm::store
{

// `words` is the command and its parameters; the reply is text for a person with a NUL at the end.
[[nodiscard]] Result<std::string> control_command(const Store& store,
                                                  const std::vector<std::string_view>& words);

} // namespace vmm::store

// SPDX-License-Identifier: Apache-2.0
//
// Names of the hypervisor's functions by address, from a table made after the first link and put into the
// image by the second (linker/symbols.awk). Read by panic only.
#pragma once

#include "base/types.hpp"

#include <string_view>

namespace vmm
{

struct Symbol {
    std::string_view name; // empty when the address is in no function
    u64 offset;            // from the start of the function
};

Symbol find_symbol(u64 address);
[[nodiscard]] bool is_code_address(u64 address);

} // namespace vmm

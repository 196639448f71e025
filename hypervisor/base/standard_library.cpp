// SPDX-License-Identifier: Apache-2.0
//
// What the standard headers call when a precondition does not hold and there are no exceptions to throw.
#include "base/panic.hpp"

#include <string_view> // declares them

#if !__STDC_HOSTED__

namespace std
{

void __throw_out_of_range_fmt(const char* what, ...) { vmm::panic_at(what, 0, "out of range"); }

} // namespace std

#endif

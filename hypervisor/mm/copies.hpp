// SPDX-License-Identifier: Apache-2.0
//
// Whether who puts frames in common has promised a frame for each copy that one sharer more makes necessary;
// the promise is the frame's from then on. Where one sharer did without, so do all. See
// mm/frame_allocator.hpp.
#pragma once

#include "base/types.hpp"

namespace vmm
{

enum class Copies : bool { promised, not_promised };

} // namespace vmm

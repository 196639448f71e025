// SPDX-License-Identifier: Apache-2.0
//
// The two 8259 interrupt controllers of the PC/AT: moved away from the exceptions and masked for good.
#pragma once

namespace vmm
{

void silence_legacy_pic();

} // namespace vmm

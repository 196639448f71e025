// SPDX-License-Identifier: Apache-2.0
//
// What the CPU says of a machine check (#MC), by its banks of error registers. [SDM3 16.3; APM2 9.3]
#pragma once

namespace vmm
{

// Writes into the log what the banks of this CPU hold, and empties them: another machine check before that
// would stop the machine without a word. False: the CPU's own state is lost, and nothing that runs on it can
// go on. Whether what it executed can go on is not asked, as that is never tried.
bool take_machine_check();

} // namespace vmm

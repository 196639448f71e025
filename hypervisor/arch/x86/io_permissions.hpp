// SPDX-License-Identifier: Apache-2.0
//
// Which I/O ports make a domain exit, as the map of a bit for each port that both vendors' CPUs read: every
// port where the domain has no devices; where it has, only those that they emulate. Asked for when a vCPU is
// loaded, since devices may come after the vCPUs. [APM2 15.10.1, SDM3 25.6.4]
#pragma once

#include "base/expected.hpp"

namespace vmm
{

class Domain;

// Makes the maps: three pages each, of which VT-x reads two and AMD-V the beginning of the third.
Expected<void> make_io_permissions();
[[nodiscard]] Hpa io_permission_map(Domain& domain);

// Pages that the CPU itself reads, of one byte value throughout.
Expected<Hpa> filled_pages(unsigned order, int value);

} // namespace vmm

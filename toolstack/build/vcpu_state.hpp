// SPDX-License-Identifier: Apache-2.0
#pragma once
// The processor state a new PVH domain starts with, as edits to the HVM save records (<xen/hvm/save.h>) that
// the hypervisor gives for it: vCPU 0 at the kernel's entry in flat 32-bit protected mode, every local APIC
// in x2APIC mode, memory type write-back by default. Records it does not know are left as they are or
// dropped; nothing is invented.

#include "toolstack/base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vmm
{

struct Start_state {
    std::uint32_t entry      = 0;
    std::uint64_t start_info = 0; // guest-physical, below 4 GiB
};

// Takes the domain's present records, gives those to set.
[[nodiscard]] Result<std::vector<std::byte>> make_start_records(std::span<const std::byte> present,
                                                                const Start_state& start);

} // namespace vmm

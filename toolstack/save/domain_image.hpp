// SPDX-License-Identifier: Apache-2.0
#pragma once
// A whole domain to a file and back: description, memory, processors, rings. Works on whatever thread calls
// it and touches the hypervisor through the Build_control it is given only; what dom0 holds of the domain
// (store, console, devices) is the daemon's.

#include "toolstack/build/rings.hpp"
#include "toolstack/save/image_file.hpp"
#include "toolstack/save/memory_image.hpp"
#include "toolstack/save/saved_domain.hpp"

#include <span>
#include <string>
#include <vector>

namespace vmm::save
{

// Where a domain made by vmmd may have memory.
[[nodiscard]] Guest_layout layout_of(const Saved_domain& domain);

// `id` has suspended and does not run. The file is there when this succeeds, and is not otherwise.
[[nodiscard]] Result<void> save_domain(Build_control& build, Domid id, const Saved_domain& description,
                                       const std::string& path, Compression compression,
                                       const Progress& progress);

// Fills `id`, which is new and paused, from where `in` stands: behind the description. What fails leaves the
// domain for the caller to destroy.
[[nodiscard]] Result<Built_domain> restore_domain(Build_control& build, Domid id,
                                                  const Saved_domain& description, Image_reader& in,
                                                  const Progress& progress);

// The end of it: all of the domain's memory is there.
[[nodiscard]] Result<Built_domain> complete_domain(Build_control& build, Domid id,
                                                   const Saved_domain& description,
                                                   std::span<const std::byte> processors);

// The processor state of a suspended domain, changed so that its kernel finds the suspension called off and
// goes on with the rings and event channels it has. [SCHEDOP_shutdown in <xen/sched.h>]
[[nodiscard]] Result<std::vector<std::byte>> call_off_suspend(std::span<const std::byte> processors);

} // namespace vmm::save

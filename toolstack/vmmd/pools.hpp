// SPDX-License-Identifier: Apache-2.0
#pragma once
// CPU pools by name. The hypervisor knows numbers; the names stand in the store, where Xen's tools keep them
// too: /local/pool/N/name. The first is Pool-0 unless somebody has renamed it.

#include "toolstack/store/store_server.hpp"
#include "toolstack/xen/control.hpp"

#include <string>
#include <string_view>

namespace vmm
{

[[nodiscard]] unsigned count_of(const Cpu_bits& cpus);
[[nodiscard]] std::string pool_path(unsigned id);
[[nodiscard]] std::string pool_name(Store_server& store, unsigned id);

// By name or number; empty is the first. Errc::not_found, with what to do.
[[nodiscard]] Result<Cpu_pool> find_pool(Control& control, Store_server& store, std::string_view wanted);

[[nodiscard]] Result<void> write_pool_name(Store_server& store, unsigned id, const std::string& name);

} // namespace vmm

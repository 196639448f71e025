// SPDX-License-Identifier: Apache-2.0
#pragma once
// CPU pools by name. The hypervisor knows numbers; the names stand in the store, where Xen's tools keep them
// too: /local/pool/N/name. The first is Pool-0 unless somebody has renamed it.

#include "toolstack/config/domain_config.hpp"
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

// Whether a domain that is to come may: there are CPUs, and where each vCPU has one to itself enough are
// left. The scheduler would let what is too much wait for ever, silently.
[[nodiscard]] Result<void> check_room(Control& control, Store_server& store, const Cpu_pool& pool,
                                      unsigned vcpus, const std::string& name);

// The weight and the cap that a domain is to have, if any. Not every scheduler has them: the domain has them
// when it moves to a pool where they are.
[[nodiscard]] Result<void> set_shares(Control& control, Domid id, const config::Domain_config& config);

[[nodiscard]] Result<void> write_pool_name(Store_server& store, unsigned id, const std::string& name);

} // namespace vmm

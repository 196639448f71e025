// SPDX-License-Identifier: Apache-2.0
#pragma once
// What stands in the store about each domain, where stock frontends and tools look for it (Xen's
// docs/misc/xenstore-paths). A domain may read its own part, and write only where it has something to say.

#include "toolstack/base/error.hpp"
#include "toolstack/store/store_server.hpp"
#include "toolstack/vmmd/domain.hpp"

#include <cstdint>
#include <string>

namespace vmm
{

[[nodiscard]] std::string domain_path(Domid id);

// All of a domain's nodes, or none.
[[nodiscard]] Result<void> write_domain_nodes(Store_server& store, const Domain& domain);
void remove_domain_nodes(Store_server& store, const Domain& domain);

[[nodiscard]] Result<void> write_console_tty(Store_server& store, const Domain& domain);
[[nodiscard]] Result<void> write_name(Store_server& store, const Domain& domain);
[[nodiscard]] Result<void> write_memory_target(Store_server& store, Domid id, std::uint64_t kib);

// Which of all its processors the guest is to use: the first `online`. Only what changes is written.
[[nodiscard]] Result<void> write_cpus(Store_server& store, Domid id, unsigned online, unsigned all);

// Dom0's own: its name, and the memory it has now as its target.
[[nodiscard]] Result<void> write_dom0_nodes(Store_server& store, std::uint64_t memory_kib);

} // namespace vmm

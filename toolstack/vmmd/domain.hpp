// SPDX-License-Identifier: Apache-2.0
#pragma once
// One domain this daemon made: what was asked for, what it has become, and what dom0 holds of it. The
// hypervisor, not this record, knows whether it runs. Plain data save the console; domain_table.hpp owns the
// records.

#include "toolstack/build/domain_builder.hpp"
#include "toolstack/config/domain_config.hpp"
#include "toolstack/config/generation_id.hpp"
#include "toolstack/vmmd/console/console.hpp"
#include "toolstack/xen/control.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vmm
{

struct Domain {
    Domid id{};
    config::Uuid uuid;
    std::optional<config::Generation_id> generation; // none: its config wants none
    config::Domain_config config;                    // name and maxmem follow `rename` and `mem-max`
    Built_domain rings;
    std::uint64_t static_max_kib = 0; // what it was built with; `mem-max` cannot go beyond
    std::uint64_t target_kib     = 0; // what it was last told to use
    std::uint64_t overhead_kib   = 0; // between the memory it sees and the hypervisor's limit
    std::int64_t started         = 0; // seconds on dom0's boot clock
    unsigned quick_ends          = 0; // how many of its predecessors in a row ended right after their start

    std::unique_ptr<Console> console;     // none: it could not be opened, and the log says why
    std::optional<Shutdown_reason> ended; // set once the end has been seen and its on_ action is due or done
    bool preserved = false;
    // The UUID it had: it is kept after its end, under another one, and that is its successor's.
    std::optional<config::Uuid> renamed_from;
    // Not empty: it was handed over to that host, which has not confirmed that it runs there. It stands still
    // until somebody who knows says what is to become of it.
    std::string handed_over_to;
    // Not empty: it goes to that file, which is whole as soon as it is a newer one than was there before.
    std::string saving_to;
    std::uint64_t saving_over = 0;     // when that was written, in ns; 0: nothing was there
    bool leaving              = false; // being taken apart: its devices go first, and that takes time
    bool unwanted             = false; // whoever has to do with it next destroys it

    [[nodiscard]] const std::string& name() const { return config.name; }
    [[nodiscard]] std::uint64_t max_kib() const { return config.maxmem_mib * 1024; }
};

} // namespace vmm

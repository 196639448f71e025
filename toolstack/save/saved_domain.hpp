// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a saved domain is, beside its memory and its processors: the record `description` of its file, as JSON
// (FORMAT.md). Decoding trusts nothing: what comes out has every field, each of a value that can be.

#include "toolstack/base/error.hpp"
#include "toolstack/config/domain_config.hpp"
#include "toolstack/config/generation_id.hpp"
#include "toolstack/cpu/cpu_policy.hpp"
#include "toolstack/xen/types.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vmm::save
{

// The state of a disk at the time its domain was saved.
struct Frozen_disk {
    std::string vdev; // as the config has it
    std::string base; // absolute path in dom0: a qcow2 image that nobody writes again

    friend bool operator==(const Frozen_disk&, const Frozen_disk&) = default;
};

struct Saved_domain {
    config::Domain_config config;
    config::Uuid uuid;
    // What it was told: it stays that where a domain moves to, and nowhere else.
    std::optional<config::Generation_id> generation{};
    std::uint64_t static_max_kib = 0; // the RAM its memory map tells of
    std::uint64_t target_kib     = 0; // what its balloon is to leave it, at most the former
    std::uint64_t overhead_kib   = 0; // what it has beside RAM
    Evtchn_port store_port{};
    Evtchn_port console_port{};
    std::uint64_t memory_kib = 0;     // what it had when it was saved
    std::int64_t saved_at    = 0;     // seconds since 1970, UTC
    std::string hypervisor;           // its version, for people
    cpu::Cpu_policy cpu_policy;       // what CPUID told it
    std::vector<Frozen_disk> disks{}; // none: its disks are not part of what was saved

    friend bool operator==(const Saved_domain&, const Saved_domain&) = default;
};

[[nodiscard]] std::vector<std::byte> encode(const Saved_domain& domain);
// Errors say what is wrong with the description, not where it was found.
[[nodiscard]] Result<Saved_domain> decode(std::span<const std::byte> payload);
} // namespace vmm::save

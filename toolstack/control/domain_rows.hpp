// SPDX-License-Identifier: Apache-2.0
// The rows of the `list`, `vcpu-list` and `sched-list` results as structs, so that both sides spell the
// fields alike. Memory is in KiB and time in nanoseconds of CPU, as everywhere on the control socket. What is
// not known has no value, not zero.
#pragma once

#include "toolstack/control/protocol.hpp"

#include <optional>
#include <string>
#include <vector>

namespace vmm::control
{

// The letters of xm list, in this order; a dash for each that is not set. Several may be set.
struct Domain_state {
    bool running  = false; // r  on a CPU now
    bool blocked  = false; // b  waiting
    bool paused   = false; // p
    bool shutdown = false; // s  ended by itself, kept by on_* = preserve; see shutdown_reason
    bool crashed  = false; // c
    bool dying    = false; // d  being destroyed; pages of it are still held

    [[nodiscard]] std::string letters() const; // always six characters
    [[nodiscard]] static std::optional<Domain_state> parse(std::string_view letters);
    friend bool operator==(const Domain_state&, const Domain_state&) = default;
};

struct Domain_row {
    std::uint32_t domid = 0;
    std::string name;
    std::string uuid;
    Domain_state state;
    std::uint64_t memory_kib     = 0;
    std::uint64_t shared_kib     = 0; // of that, in common with other domains
    std::uint64_t max_memory_kib = 0;
    std::uint32_t vcpus          = 0; // online
    std::uint64_t cpu_time_ns    = 0;
    std::optional<std::string> shutdown_reason; // poweroff reboot suspend crash watchdog soft-reset

    friend bool operator==(const Domain_row&, const Domain_row&) = default;
};

struct Vcpu_row {
    std::uint32_t domid = 0;
    std::string name;
    std::uint32_t vcpu = 0;
    std::optional<std::uint32_t> cpu; // none: not online
    Domain_state state;               // r, b and p only; none when runnable and waiting for a CPU
    std::uint64_t cpu_time_ns = 0;
    std::string affinity; // as Cpu_set writes it: "all", "0-3"
    std::string soft_affinity;

    friend bool operator==(const Vcpu_row&, const Vcpu_row&) = default;
};

struct Sched_row {
    std::uint32_t domid = 0;
    std::string name;
    std::uint32_t weight = 0;
    std::uint32_t cap    = 0; // in percent of one CPU; 0: no limit

    friend bool operator==(const Sched_row&, const Sched_row&) = default;
};

[[nodiscard]] Json to_json(const Domain_row& row);
[[nodiscard]] Json to_json(const Vcpu_row& row);
[[nodiscard]] Json to_json(const Sched_row& row);
[[nodiscard]] Result<Domain_row> domain_row_from_json(const Json& json);
[[nodiscard]] Result<Vcpu_row> vcpu_row_from_json(const Json& json);
[[nodiscard]] Result<Sched_row> sched_row_from_json(const Json& json);

} // namespace vmm::control

// SPDX-License-Identifier: Apache-2.0
// One domain as the administrator wants it: what a file in /etc/vmm says, with every default filled in and
// every value checked. It is plain data: `xm` makes it from a file, sends it to `vmmd` as JSON, and vmmd
// builds from it and keeps it for a restart. It knows nothing of files (interpret.hpp reads them) nor of
// running domains. Memory is in MiB here, because that is the unit of the file; everything on the control
// socket about running domains is in KiB.
#pragma once

#include "toolstack/config/cpu_set.hpp"
#include "toolstack/config/disk.hpp"
#include "toolstack/config/uuid.hpp"
#include "toolstack/config/vif_config.hpp"
#include "toolstack/cpu/wanted_features.hpp"

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vmm::config
{

// What happens to a domain that has ended. The file writes them with dashes: "rename-restart".
enum class End_action { destroy, restart, rename_restart, preserve };

[[nodiscard]] std::string_view to_string(End_action action);
[[nodiscard]] std::optional<End_action> parse_end_action(std::string_view text);

enum class Domain_type { pvh };

[[nodiscard]] std::string_view to_string(Domain_type type);

struct Limits {
    static constexpr std::uint64_t kMin_memory_mib      = 16;
    static constexpr std::uint64_t kMax_memory_mib      = 16ull << 20; // 16 TiB
    static constexpr std::uint64_t kMin_vcpus           = 1;
    static constexpr std::uint64_t kMax_vcpus           = 64;
    static constexpr std::uint64_t kMin_cpu_weight      = 1;
    static constexpr std::uint64_t kMax_cpu_weight      = 65'535;
    static constexpr std::uint64_t kMax_cap_per_vcpu    = 100;
    static constexpr std::uint64_t kMin_event_channels  = 2; // the store's and the console's
    static constexpr std::uint64_t kMax_event_channels  = 131'071;
    static constexpr std::uint64_t kMax_grant_frames    = 256;
    static constexpr std::uint64_t kMax_maptrack_frames = 1024;
    static constexpr std::int64_t kMax_timeoffset       = 0x7fff'ffff; // 68 years, either way
    static constexpr std::size_t kMax_name_length       = 63;
    static constexpr std::size_t kMax_cmdline_length    = 4095;
    static constexpr std::size_t kMax_path_length       = 4095;
};

inline constexpr std::uint64_t kDefault_memory_mib = 256;
inline constexpr unsigned kDefault_cpu_weight      = 256;

struct Domain_config {
    std::string name;
    std::optional<Uuid> uuid; // none: vmmd makes one
    Domain_type type   = Domain_type::pvh;
    bool generation_id = false; // whether it is told of its generation (generation_id.hpp)

    std::string kernel;  // absolute path in dom0
    std::string ramdisk; // absolute path, or empty: none
    std::string cmdline;

    std::uint64_t memory_mib = kDefault_memory_mib; // at the start
    std::uint64_t maxmem_mib = kDefault_memory_mib; // `xm mem-set` may raise it so far; never below memory

    unsigned vcpus    = 1;                     // online at the start
    unsigned maxvcpus = 1;                     // never below vcpus
    std::vector<Cpu_set> affinity;             // one per vCPU, or shorter: the rest may run anywhere
    std::vector<Cpu_set> soft_affinity;        // where they would rather run, likewise
    unsigned cpu_weight = kDefault_cpu_weight; // its share of the CPUs, relative to other domains
    std::string pool;                          // of physical CPUs; empty: the first
    unsigned cap = 0;                          // the most it may use, in percent of one CPU; 0: no limit

    cpu::Wanted_features cpuid; // all that the host offers, if nothing is said

    // How much it may have of what the hypervisor keeps for it; without value: as much as others.
    std::optional<unsigned> max_event_channels, max_grant_frames, max_maptrack_frames;

    // What its wall clock shows: UTC or what the host's local time is when it is made, and so many seconds
    // on.
    bool localtime              = false;
    std::int64_t rtc_timeoffset = 0;

    std::vector<Disk> disks; // no two with the same number

    End_action on_poweroff = End_action::destroy;
    End_action on_reboot   = End_action::restart;
    End_action on_crash    = End_action::destroy;
    End_action on_watchdog = End_action::destroy;

    std::vector<Vif_config> vifs; // each with its device number and address

    friend bool operator==(const Domain_config&, const Domain_config&) = default;
};

// Fills in what follows from the rest: device numbers and addresses of interfaces. An address nobody chose
// comes from the UUID, or without one from the name, so it is the same at each start.
void complete(Domain_config& config);

// What is wrong with which key. `message` is a full clause without the key.
struct Problem {
    std::string key;
    std::string message;

    [[nodiscard]] std::string to_string() const { return key + ": " + message; }
    friend bool operator==(const Problem&, const Problem&) = default;
};

// The checks of single values, shared by the file reader and validate(); the error is a clause without the
// key.
using Checked = std::expected<void, std::string>;
[[nodiscard]] Checked check_name(std::string_view name);
[[nodiscard]] Checked check_memory_mib(std::uint64_t mib);
[[nodiscard]] Checked check_vcpus(std::uint64_t count);
[[nodiscard]] Checked check_cpu_weight(std::uint64_t weight);
[[nodiscard]] Checked check_cap(std::uint64_t percent, std::uint64_t vcpus);
[[nodiscard]] Checked check_pool(std::string_view name);
[[nodiscard]] Checked check_event_channels(std::uint64_t count);
[[nodiscard]] Checked check_grant_frames(std::uint64_t count);
[[nodiscard]] Checked check_maptrack_frames(std::uint64_t count);
[[nodiscard]] Checked check_timeoffset(std::int64_t seconds);
[[nodiscard]] Checked check_path(std::string_view path); // its form only: who opens it finds out the rest
[[nodiscard]] Checked check_cmdline(std::string_view cmdline);

// The whole: every value above and how they fit together. vmmd calls it on what it received; so nothing that
// passed here needs a check of the same kind later.
[[nodiscard]] std::expected<void, Problem> validate(const Domain_config& config);

} // namespace vmm::config

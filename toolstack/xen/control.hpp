// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the daemon asks of a hypervisor about domains as wholes: make, run, stop, look at, limit. Nothing of
// it takes long; what does, because a domain's memory is gone through, is in build_control.hpp. Xen_control
// implements it over hypercalls; tests put a fake in its place. Memory is in KiB, times in nanoseconds; an
// error names the operation, the domain and the hypervisor's reason.

#include "toolstack/base/error.hpp"
#include "toolstack/cpu/cpu_policy.hpp"
#include "toolstack/xen/types.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vmm
{

// SHUTDOWN_* of <xen/sched.h>, with the same values.
enum class Shutdown_reason : unsigned {
    poweroff   = 0,
    reboot     = 1,
    suspend    = 2,
    crash      = 3,
    watchdog   = 4,
    soft_reset = 5
};

struct Domain_shape {
    Uuid_bytes uuid{};
    unsigned max_vcpus                      = 1;
    std::uint64_t max_memory_kib            = 0;
    unsigned pool                           = 0; // of processors
    // The most it may have of each; without value: what the hypervisor gives.
    std::optional<unsigned> event_channels  = {};
    std::optional<unsigned> grant_frames    = {};
    std::optional<unsigned> maptrack_frames = {};
};

struct Domain_info {
    Domid id{};
    Uuid_bytes uuid{};
    bool dying   = false;
    bool paused  = false;
    bool blocked = false;
    bool running = false;
    std::optional<Shutdown_reason> shutdown; // set once the guest has stopped
    std::uint64_t memory_kib     = 0;
    std::uint64_t shared_kib     = 0; // of that, in common with other domains since a fork
    std::uint64_t max_memory_kib = 0;
    std::uint64_t cpu_time       = 0;
    unsigned online_vcpus        = 0;
    unsigned max_vcpus           = 0;
    unsigned pool                = 0; // of processors
};

// Bit n: physical processor n.
using Cpu_bits = std::vector<std::uint8_t>;

// Where a vCPU may run, and where it would rather; without value: as it is.
struct Affinity {
    std::optional<Cpu_bits> hard;
    std::optional<Cpu_bits> soft;
};

// A domain's share of the processors; without value: as it is.
struct Scheduling {
    std::optional<unsigned> weight; // relative to other domains
    std::optional<unsigned> cap;    // in percent of one processor; 0: no limit
};

struct Vcpu_state {
    bool online            = false;
    bool blocked           = false;
    bool running           = false;
    unsigned cpu           = 0; // the physical processor it last ran on
    std::uint64_t cpu_time = 0;
    Cpu_bits hard_affinity;
    Cpu_bits soft_affinity;
};

// Processors apart from others, with the domains that run on them and nowhere else.
struct Cpu_pool {
    unsigned id        = 0;
    unsigned scheduler = 0; // XEN_SCHEDULER_*
    unsigned domains   = 0;
    Cpu_bits cpus;
};

struct Host_info {
    unsigned cpus             = 0;
    unsigned cores_per_socket = 0;
    unsigned threads_per_core = 0;
    unsigned nodes            = 0;
    std::uint32_t cpu_khz     = 0;
    std::uint64_t total_kib   = 0;
    std::uint64_t free_kib    = 0; // ready now, scrubbing included
    std::uint64_t claimed_kib = 0; // promised to domains under construction
    bool hap                  = false;
    bool directio             = false;
    unsigned scheduler        = 0; // XEN_SCHEDULER_*
    unsigned max_cpu_id       = 0;
    std::array<std::uint32_t, 8> hw_caps{}; // CPUID feature words, in the hypervisor's order
};

struct Version_info {
    unsigned major = 0;
    unsigned minor = 0;
    std::string extra;
    std::string capabilities;
    std::string compiler;
    std::string compile_by;
    std::string compile_domain;
    std::string compile_date;
    std::uint64_t virt_start = 0; // "platform parameters"
    std::string command_line;
    std::string changeset;
};

class Control
{
  public:
    virtual ~Control() = default;

    // The new domain is paused, owns no memory and has its vCPUs allocated.
    [[nodiscard]] virtual Result<Domid> create(const Domain_shape& shape)         = 0;
    [[nodiscard]] virtual Result<void> pause(Domid id)                            = 0;
    [[nodiscard]] virtual Result<void> unpause(Domid id)                          = 0;
    [[nodiscard]] virtual Result<void> shutdown(Domid id, Shutdown_reason reason) = 0;
    // A domain that has stopped (suspend, most often) runs on where it stopped.
    [[nodiscard]] virtual Result<void> resume(Domid id)                           = 0;

    [[nodiscard]] virtual Result<Domain_info> info(Domid id)      = 0; // Errc::no_such_domain when it is gone
    [[nodiscard]] virtual Result<std::vector<Domain_info>> list() = 0;
    [[nodiscard]] virtual Result<Vcpu_state> vcpu(Domid id, unsigned vcpu) = 0;
    [[nodiscard]] virtual Result<Host_info> host()                         = 0;
    [[nodiscard]] virtual Result<Version_info> version()                   = 0;
    [[nodiscard]] virtual Result<std::string> read_log(bool clear)         = 0;

    [[nodiscard]] virtual Result<void> set_max_memory(Domid id, std::uint64_t kib)                     = 0;
    [[nodiscard]] virtual Result<void> set_uuid(Domid id, const Uuid_bytes& uuid)                      = 0;
    [[nodiscard]] virtual Result<void> set_time_offset(Domid id, std::int64_t seconds)                 = 0;
    [[nodiscard]] virtual Result<void> set_affinity(Domid id, unsigned vcpu, const Affinity& affinity) = 0;
    // Errc::unsupported when its scheduler shares the processors in another way.
    [[nodiscard]] virtual Result<Scheduling> scheduling(Domid id)                                      = 0;
    [[nodiscard]] virtual Result<void> set_scheduling(Domid id, const Scheduling& wanted)              = 0;

    // CPU pools. Pool 0 is always there; processors in no pool are free.
    [[nodiscard]] virtual Result<std::vector<Cpu_pool>> pools()                    = 0;
    [[nodiscard]] virtual Result<Cpu_bits> free_cpus()                             = 0;
    [[nodiscard]] virtual Result<unsigned> create_pool(unsigned scheduler)         = 0;
    [[nodiscard]] virtual Result<void> destroy_pool(unsigned pool)                 = 0;
    [[nodiscard]] virtual Result<void> add_to_pool(unsigned pool, unsigned cpu)    = 0;
    [[nodiscard]] virtual Result<void> take_from_pool(unsigned pool, unsigned cpu) = 0;
    [[nodiscard]] virtual Result<void> move_to_pool(Domid id, unsigned pool)       = 0;
    // Errc::exists when it is so already, Errc::busy when domains have no other. It stays in its pool.
    [[nodiscard]] virtual Result<void> set_cpu_online(unsigned cpu, bool online)   = 0;

    // What CPUID tells a domain: what a new one is offered, what this one sees. Set before it first runs.
    [[nodiscard]] virtual Result<cpu::Cpu_policy> offered_cpu_policy()                         = 0;
    [[nodiscard]] virtual Result<cpu::Cpu_policy> cpu_policy(Domid id)                         = 0;
    [[nodiscard]] virtual Result<void> set_cpu_policy(Domid id, const cpu::Cpu_policy& policy) = 0;
};

} // namespace vmm

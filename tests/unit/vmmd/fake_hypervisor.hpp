// SPDX-License-Identifier: Apache-2.0
#pragma once
// A hypervisor made of ordinary memory for tests of the builder and the daemon: domains with sparse guest
// memory, HVM parameters, event channels that a test fires by hand, and a failure that a test can order for
// any operation. It keeps the books, so that a test can ask whether everything was given back.

#include "fake_domain.hpp"
#include "toolstack/vmmd/guest_links.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace vmm::test
{

class Fake_hypervisor final : public Control, public Build_control, public Guest_links
{
  public:
    explicit Fake_hypervisor(std::uint64_t free_mib = 4096);

    std::uint64_t free_pages;
    std::size_t large_extents = SIZE_MAX;                           // how many 2 MiB extents there still are
    std::map<Domid, std::unique_ptr<Fake_domain>> domains;          // dom0 too
    std::map<unsigned, Cpu_pool> cpu_pools{{0, {0, 6, 0, {0xff}}}}; // the first one with credit2
    std::set<unsigned> offline_cpus;
    std::vector<std::string> calls; // in order, of those that change something
    std::uint64_t notifications = 0;
    std::uint64_t pages_mapped  = 0;
    cpu::Cpu_policy offered;                                  // to new domains
    std::byte fresh_memory{0};                                // what every byte of a new page holds
    std::function<void(const std::string& operation)> before; // each that changes a domain

    // The `nth` call of `operation` from now on fails with `code`.
    void order_failure(const std::string& operation, Errc code, unsigned nth = 1)
    {
        failures_[operation] = {code, nth};
    }
    // Something happens inside a domain.
    void stop_guest(Domid id, Shutdown_reason reason) { domains.at(id)->info.shutdown = reason; }
    // The guest's end of a channel sends.
    void fire(Domid id, Evtchn_port port);
    [[nodiscard]] std::size_t bound_ports() const { return bindings_.size(); }
    [[nodiscard]] Fake_domain& domain(Domid id) { return *domains.at(id); }

    Result<Domid> create(const Domain_shape& shape) override;
    Result<void> destroy(Domid id) override;
    Result<void> pause(Domid id) override;
    Result<void> unpause(Domid id) override;
    Result<void> shutdown(Domid id, Shutdown_reason reason) override;
    Result<void> resume(Domid id) override;
    Result<Domain_info> info(Domid id) override;
    Result<std::vector<Domain_info>> list() override;
    Result<Vcpu_state> vcpu(Domid id, unsigned vcpu) override;
    Result<Host_info> host() override;
    Result<Version_info> version() override;
    Result<std::string> read_log(bool clear) override;
    Result<void> set_max_memory(Domid id, std::uint64_t kib) override;
    Result<void> set_uuid(Domid id, const Uuid_bytes& uuid) override;
    Result<void> set_time_offset(Domid id, std::int64_t seconds) override;
    Result<void> set_affinity(Domid id, unsigned vcpu, const Affinity& affinity) override;
    Result<Scheduling> scheduling(Domid id) override;
    Result<void> set_scheduling(Domid id, const Scheduling& wanted) override;
    Result<std::vector<Cpu_pool>> pools() override;
    Result<Cpu_bits> free_cpus() override;
    Result<unsigned> create_pool(unsigned scheduler) override;
    Result<void> destroy_pool(unsigned pool) override;
    Result<void> add_to_pool(unsigned pool, unsigned cpu) override;
    Result<void> take_from_pool(unsigned pool, unsigned cpu) override;
    Result<void> move_to_pool(Domid id, unsigned pool) override;
    Result<void> set_cpu_online(unsigned cpu, bool online) override;
    Result<cpu::Cpu_policy> offered_cpu_policy() override;
    Result<cpu::Cpu_policy> cpu_policy(Domid id) override;
    Result<void> set_cpu_policy(Domid id, const cpu::Cpu_policy& policy) override;

    Result<void> claim(Domid id, std::uint64_t pages) override;
    Result<void> set_table_memory(Domid id, std::uint64_t kib) override;
    Result<std::size_t> populate(Domid id, std::span<const std::uint64_t> frames, unsigned order) override;
    Result<void> set_memory_map(Domid id, std::span<const hvm_memmap_table_entry> map) override;
    Result<Mapped_pages> map(Domid id, std::span<const std::uint64_t> frames) override;
    Result<Mapped_pages> map_present(Domid id, std::span<const std::uint64_t> frames,
                                     std::vector<bool>& present) override;
    Result<void> take_back(Domid id, std::span<const std::uint64_t> frames) override;
    Result<void> fork_memory(Domid child, Domid parent) override;
    Result<void> log_writes(Domid id, bool on) override;
    Result<void> take_write_log(Domid id, std::span<std::uint64_t> log) override;
    Result<Mapped_pages> map_grant_table(Domid id, unsigned frame) override;
    Result<void> set_param(Domid id, unsigned param, std::uint64_t value) override;
    Result<std::uint64_t> param(Domid id, unsigned param) override;
    Result<Evtchn_port> alloc_unbound(Domid id, Domid remote) override;
    Result<std::vector<std::byte>> context(Domid id) override;
    Result<void> set_context(Domid id, std::span<const std::byte> records) override;

    Result<Mapped_pages> map_ring(Domid id, Ring ring, Gfn page) override;
    Result<Evtchn_port> bind(Domid id, Evtchn_port port, std::function<void()> callback) override;
    void unbind(Evtchn_port local) override { bindings_.erase(raw(local)); }
    void notify(Evtchn_port) override { ++notifications; }

  private:
    struct Failure {
        Errc code;
        unsigned in;
    };
    struct Binding {
        Domid id;
        Evtchn_port port;
        std::function<void()> callback;
    };

    // Notes the call; fails when ordered to, or when the domain is not there.
    Result<Fake_domain*> enter(const std::string& operation, Domid id);
    std::optional<Errc> ordered(const std::string& operation);

    std::recursive_mutex books_; // of who is there: domains are destroyed on threads
    std::map<std::string, Failure> failures_;
    std::map<std::uint32_t, Binding> bindings_;
    std::uint32_t next_local_ = 1;
    std::uint16_t next_domid_ = 1;
    std::string log_          = "(FAKE) hello\n";
};

} // namespace vmm::test

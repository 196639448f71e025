// SPDX-License-Identifier: Apache-2.0
#pragma once
// Control and Build_control over hypercalls, as Xen 4.17 defines them (<xen/domctl.h>, <xen/sysctl.h>,
// <xen/memory.h>); every hypervisor with that interface serves. It keeps no state about domains: each
// question goes to the hypervisor. Calls that the hypervisor cuts short are taken up again here, so callers
// see them done or failed.

#include "toolstack/xen/build_control.hpp"
#include "toolstack/xen/control.hpp"
#include "toolstack/xen/guest_pages.hpp"
#include "toolstack/xen/hypercall.hpp"

#include <memory>
#include <string>

namespace vmm
{

class Xen_control final : public Control, public Build_control
{
  public:
    [[nodiscard]] static Result<std::unique_ptr<Xen_control>> open();

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
    Result<void> log_writes(Domid id, bool on) override;
    Result<void> fork_memory(Domid child, Domid parent) override;
    Result<void> take_write_log(Domid id, std::span<std::uint64_t> log) override;
    Result<Mapped_pages> map_grant_table(Domid id, unsigned frame) override;
    Result<void> set_param(Domid id, unsigned param, std::uint64_t value) override;
    Result<std::uint64_t> param(Domid id, unsigned param) override;
    Result<Evtchn_port> alloc_unbound(Domid id, Domid remote) override;
    Result<std::vector<std::byte>> context(Domid id) override;
    Result<void> set_context(Domid id, std::span<const std::byte> records) override;

  private:
    Xen_control(Hypercall hypercall, Foreign_memory memory)
        : call_(std::move(hypercall)), memory_(std::move(memory))
    {
    }

    Result<void> simple_domctl(std::uint32_t command, Domid id, xen_domctl& op, std::string_view what) const;
    Result<std::size_t> cpu_map_bytes() const;
    Result<std::uint32_t> scheduler_of(Domid id);
    Result<std::optional<Cpu_pool>> next_pool(unsigned id) const;
    Result<void> pool_op(xen_sysctl& op, std::string_view what) const;

    Hypercall call_;
    Foreign_memory memory_;
};

} // namespace vmm

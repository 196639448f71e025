// SPDX-License-Identifier: Apache-2.0
// What domains are made, looked at and ruled by.
#include "fake_hypervisor.hpp"

#include <algorithm>

#include <xen/hvm/save.h>
#include <xen/xen.h>

namespace vmm::test
{

namespace
{

std::vector<std::byte> first_context(unsigned vcpus)
{
    std::vector<std::byte> records;
    const auto add = [&](std::uint16_t type, std::uint16_t instance, const void* body, std::size_t size) {
        const hvm_save_descriptor descriptor{type, instance, static_cast<std::uint32_t>(size)};
        const auto* head = reinterpret_cast<const std::byte*>(&descriptor);
        records.insert(records.end(), head, head + sizeof descriptor);
        const auto* bytes = static_cast<const std::byte*>(body);
        records.insert(records.end(), bytes, bytes + size);
    };
    const hvm_save_header header{HVM_FILE_MAGIC, HVM_FILE_VERSION, 0, 0, 0};
    add(HVM_SAVE_CODE(HEADER), 0, &header, sizeof header);
    for (std::uint16_t vcpu = 0; vcpu < vcpus; ++vcpu) {
        const hvm_hw_cpu cpu{};
        add(HVM_SAVE_CODE(CPU), vcpu, &cpu, sizeof cpu);
        const hvm_hw_lapic apic{};
        add(HVM_SAVE_CODE(LAPIC), vcpu, &apic, sizeof apic);
    }
    add(HVM_SAVE_CODE(END), 0, nullptr, 0);
    return records;
}

} // namespace

Fake_hypervisor::Fake_hypervisor(std::uint64_t free_mib) : free_pages(free_mib * 256)
{
    auto dom0               = std::make_unique<Fake_domain>();
    dom0->info.running      = true;
    dom0->info.memory_kib   = 1U << 20;
    dom0->info.online_vcpus = dom0->info.max_vcpus = 1;
    domains[kDom0]                                 = std::move(dom0);
    // An AMD processor with SSE2, SSE3 and AVX2.
    offered = {{0, cpu::kNo_subleaf, 0xd, 0x68747541, 0x444d4163, 0x69746e65},
               {1, cpu::kNo_subleaf, 0, 0, 1, 1U << 26},
               {7, 0, 0, 1U << 5, 0, 0}};
}

std::optional<Errc> Fake_hypervisor::ordered(const std::string& operation)
{
    const auto failure = failures_.find(operation);
    if (failure == failures_.end() || --failure->second.in != 0) {
        return std::nullopt;
    }
    const Errc code = failure->second.code;
    failures_.erase(failure);
    return code;
}

Result<Fake_domain*> Fake_hypervisor::enter(const std::string& operation, Domid id)
{
    {
        const std::lock_guard guard(books_);
        calls.push_back(operation + " " + to_string(id));
    }
    if (before) {
        before(operation);
    }
    const std::lock_guard guard(books_);
    if (const auto code = ordered(operation)) {
        return fail(*code, "the fake refused to " + operation);
    }
    const auto found = domains.find(id);
    if (found == domains.end()) {
        return fail(Errc::no_such_domain, "there is no domain " + to_string(id));
    }
    return found->second.get();
}

Result<Domid> Fake_hypervisor::create(const Domain_shape& shape)
{
    const std::lock_guard guard(books_);
    if (const auto code = ordered("create")) {
        return fail(*code, "the fake refused to create");
    }
    auto domain            = std::make_unique<Fake_domain>();
    domain->info.id        = Domid{next_domid_++};
    domain->info.uuid      = shape.uuid;
    domain->info.paused    = true;
    domain->info.pool      = shape.pool;
    domain->info.max_vcpus = domain->info.online_vcpus = shape.max_vcpus;
    domain->info.max_memory_kib                        = shape.max_memory_kib;
    domain->context                                    = first_context(shape.max_vcpus);
    domain->cpu_policy                                 = offered;
    domain->shape                                      = shape;
    const Domid id                                     = domain->info.id;
    domains[id]                                        = std::move(domain);
    calls.push_back("create " + to_string(id));
    return id;
}

Result<void> Fake_hypervisor::destroy(Domid id)
{
    const Fake_domain* domain = TRY(enter("destroy", id));
    const std::lock_guard guard(books_);
    if (*domain->views != 0) {
        return fail(Errc::busy, "pages of domain " + to_string(id) + " are still mapped");
    }
    free_pages += domain->pages();
    domains.erase(id);
    return {};
}

Result<void> Fake_hypervisor::pause(Domid id)
{
    TRY(enter("pause", id))->info.paused = true;
    return {};
}

Result<void> Fake_hypervisor::unpause(Domid id)
{
    TRY(enter("unpause", id))->info.paused = false;
    return {};
}

Result<void> Fake_hypervisor::shutdown(Domid id, Shutdown_reason reason)
{
    TRY(enter("shutdown", id))->info.shutdown = reason;
    return {};
}

Result<void> Fake_hypervisor::resume(Domid id)
{
    TRY(enter("resume", id))->info.shutdown.reset();
    return {};
}

Result<Domain_info> Fake_hypervisor::info(Domid id)
{
    const std::lock_guard guard(books_);
    const auto found = domains.find(id);
    if (found == domains.end()) {
        return fail(Errc::no_such_domain, "there is no domain " + to_string(id));
    }
    Domain_info info = found->second->info;
    if (id != kDom0) {
        info.memory_kib = found->second->pages() * 4;
    }
    return info;
}

Result<std::vector<Domain_info>> Fake_hypervisor::list()
{
    const std::lock_guard guard(books_);
    std::vector<Domain_info> all;
    for (const auto& [id, domain] : domains) {
        all.push_back(*info(id));
    }
    return all;
}

Result<Vcpu_state> Fake_hypervisor::vcpu(Domid id, unsigned vcpu)
{
    const Fake_domain& domain = *domains.at(id);
    const auto bits = [&](const auto& of) { return of.contains(vcpu) ? of.at(vcpu) : Cpu_bits{0xff}; };
    Vcpu_state state;
    state.online        = true;
    state.cpu           = vcpu;
    state.hard_affinity = bits(domain.affinity);
    state.soft_affinity = bits(domain.soft_affinity);
    return state;
}

Result<Host_info> Fake_hypervisor::host()
{
    const std::lock_guard guard(books_);
    Host_info info;
    info.cpus       = 8;
    info.max_cpu_id = 7;
    info.free_kib   = free_pages * 4;
    info.scheduler  = cpu_pools.at(0).scheduler;
    return info;
}

Result<Version_info> Fake_hypervisor::version()
{
    Version_info info;
    info.major = 4;
    info.minor = 17;
    info.extra = ".fake";
    return info;
}

Result<std::string> Fake_hypervisor::read_log(bool clear)
{
    const std::string text = log_;
    if (clear) {
        log_.clear();
    }
    return text;
}

Result<void> Fake_hypervisor::set_max_memory(Domid id, std::uint64_t kib)
{
    TRY(enter("set_max_memory", id))->info.max_memory_kib = kib;
    return {};
}

Result<void> Fake_hypervisor::set_uuid(Domid id, const Uuid_bytes& uuid)
{
    TRY(enter("set_uuid", id))->info.uuid = uuid;
    return {};
}

Result<void> Fake_hypervisor::set_time_offset(Domid id, std::int64_t seconds)
{
    TRY(enter("set_time_offset", id))->time_offset = seconds;
    return {};
}

Result<void> Fake_hypervisor::set_affinity(Domid id, unsigned vcpu, const Affinity& affinity)
{
    Fake_domain* domain = TRY(enter("set_affinity", id));
    if (affinity.hard) {
        domain->affinity[vcpu] = *affinity.hard;
    }
    if (affinity.soft) {
        domain->soft_affinity[vcpu] = *affinity.soft;
    }
    return {};
}

Result<Scheduling> Fake_hypervisor::scheduling(Domid id) { return TRY(enter("scheduling", id))->scheduling; }

Result<void> Fake_hypervisor::set_scheduling(Domid id, const Scheduling& wanted)
{
    Scheduling& now = TRY(enter("set_scheduling", id))->scheduling;
    now             = {wanted.weight ? wanted.weight : now.weight, wanted.cap ? wanted.cap : now.cap};
    return {};
}

Result<std::vector<Cpu_pool>> Fake_hypervisor::pools()
{
    std::vector<Cpu_pool> all;
    for (auto [id, pool] : cpu_pools) {
        for (const auto& [domid, domain] : domains) {
            pool.domains += domain->info.pool == id ? 1 : 0;
        }
        all.push_back(pool);
    }
    return all;
}

Result<Cpu_bits> Fake_hypervisor::free_cpus()
{
    unsigned taken = 0;
    for (const auto& [id, pool] : cpu_pools) {
        taken |= pool.cpus.at(0);
    }
    return Cpu_bits{static_cast<std::uint8_t>(~taken)};
}

Result<unsigned> Fake_hypervisor::create_pool(unsigned scheduler)
{
    if (const auto code = ordered("create_pool")) {
        return fail(*code, "the fake refused to create a pool");
    }
    const unsigned id = cpu_pools.rbegin()->first + 1;
    cpu_pools[id]     = {id, scheduler, 0, {0}};
    return id;
}

Result<void> Fake_hypervisor::destroy_pool(unsigned pool)
{
    cpu_pools.erase(pool);
    return {};
}

Result<void> Fake_hypervisor::add_to_pool(unsigned pool, unsigned cpu)
{
    if (const auto code = ordered("add_to_pool")) {
        return fail(*code, "the fake refused to add a CPU");
    }
    cpu_pools.at(pool).cpus.at(0) |= static_cast<std::uint8_t>(1U << cpu);
    return {};
}

Result<void> Fake_hypervisor::take_from_pool(unsigned pool, unsigned cpu)
{
    cpu_pools.at(pool).cpus.at(0) &= static_cast<std::uint8_t>(~(1U << cpu));
    return {};
}

Result<void> Fake_hypervisor::move_to_pool(Domid id, unsigned pool)
{
    auto* const domain = TRY(enter("move_to_pool", id));
    domain->info.pool  = pool;
    domain->affinity.clear();
    domain->soft_affinity.clear();
    return {};
}

Result<void> Fake_hypervisor::set_cpu_online(unsigned cpu, bool online)
{
    if (const auto code = ordered("set_cpu_online")) {
        return fail(*code, "the fake refused to change a CPU");
    }
    const bool changes = online ? offline_cpus.erase(cpu) != 0 : offline_cpus.insert(cpu).second;
    return changes ? Result<void>() : fail(Errc::exists, "it is so already");
}

Result<cpu::Cpu_policy> Fake_hypervisor::offered_cpu_policy() { return offered; }

Result<cpu::Cpu_policy> Fake_hypervisor::cpu_policy(Domid id)
{
    return TRY(enter("cpu_policy", id))->cpu_policy;
}

Result<void> Fake_hypervisor::set_cpu_policy(Domid id, const cpu::Cpu_policy& policy)
{
    TRY(enter("set_cpu_policy", id))->cpu_policy = policy;
    return {};
}

} // namespace vmm::test

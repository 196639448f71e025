// SPDX-License-Identifier: Apache-2.0
// pool-list, -create, -destroy, -rename, -cpus, -move: CPUs apart from others, and who runs on them.
// cpu-online: CPUs that nobody runs on for a while.
#include "toolstack/vmmd/affinity.hpp"
#include "toolstack/vmmd/answers.hpp"
#include "toolstack/vmmd/host_report.hpp"
#include "toolstack/vmmd/operations.hpp"
#include "toolstack/vmmd/pools.hpp"

#include <utility>
#include <vector>

namespace vmm
{

using control::Code;
using control::Failure;

namespace
{

bool has(const Cpu_bits& bits, unsigned cpu)
{
    return cpu / 8 < bits.size() && (bits[cpu / 8] >> (cpu % 8) & 1) != 0;
}

std::vector<unsigned> members(const Cpu_bits& bits)
{
    std::vector<unsigned> cpus;
    for (unsigned cpu = 0; cpu < bits.size() * 8; ++cpu) {
        if (has(bits, cpu)) {
            cpus.push_back(cpu);
        }
    }
    return cpus;
}

control::Json row_of(const Cpu_pool& pool, const std::string& name)
{
    return {{"id", pool.id},
            {"name", name},
            {"cpus", members(pool.cpus)},
            {"scheduler", scheduler_name(pool.scheduler)},
            {"domains", pool.domains}};
}

std::expected<Cpu_pool, Failure> pool_argument(Control& control, Store_server& store,
                                               const control::Json& args)
{
    const auto wanted = text_argument(args, "pool");
    if (!wanted) {
        return std::unexpected(wanted.error());
    }
    auto found = find_pool(control, store, *wanted);
    if (!found) {
        return failed(found.error().code == Errc::not_found ? Code::bad_value : Code::internal,
                      found.error().message);
    }
    return *std::move(found);
}

// A name that no pool has.
std::expected<std::string, Failure> new_name_argument(Control& control, Store_server& store,
                                                      const control::Json& args)
{
    auto name = text_argument(args, "name");
    if (!name) {
        return name;
    }
    if (const auto good = config::check_name(*name); !good) {
        return failed(Code::bad_value, "name: " + good.error());
    }
    if (find_pool(control, store, *name)) {
        return failed(Code::exists, "there is a CPU pool \"" + *name + "\" already");
    }
    return name;
}

std::string no_such_cpu(std::uint64_t cpu, const Host_info& host)
{
    return "this machine has no processor " + std::to_string(cpu) + "; it has 0 to " +
           std::to_string(host.max_cpu_id);
}

// The CPUs named, all of which there are.
std::expected<std::vector<unsigned>, Failure> cpus_argument(const control::Json& args, const Host_info& host)
{
    const auto text = text_argument(args, "cpus");
    if (!text) {
        return std::unexpected(text.error());
    }
    const auto set = config::Cpu_set::parse(*text);
    if (!set) {
        return failed(Code::bad_value, "cpus: " + set.error());
    }
    if (!set->is_all() && *set->cpus().rbegin() > host.max_cpu_id) {
        return failed(Code::bad_value, no_such_cpu(*set->cpus().rbegin(), host));
    }
    return members(to_bits(*set, host).value_or(Cpu_bits{}));
}

} // namespace

Answer Operations::pool_list(const Json&)
{
    const auto pools = control_.pools();
    const auto free  = control_.free_cpus();
    if (!pools || !free) {
        return failed(pools ? free.error() : pools.error());
    }
    Json rows = Json::array();
    for (const Cpu_pool& pool : *pools) {
        rows.push_back(row_of(pool, pool_name(store_, pool.id)));
    }
    return Json{{"pools", std::move(rows)}, {"free_cpus", members(*free)}};
}

// Whole or not at all. Without "cpus" it has none yet.
Answer Operations::pool_create(const Json& args)
{
    const auto host = control_.host();
    const auto free = control_.free_cpus();
    if (!host || !free) {
        return failed(host ? free.error() : host.error());
    }
    const auto name  = new_name_argument(control_, store_, args);
    const auto cpus  = args.contains("cpus") ? cpus_argument(args, *host) : std::vector<unsigned>{};
    const auto sched = args.contains("scheduler")
                           ? text_argument(args, "scheduler")
                           : std::expected<std::string, Failure>(scheduler_name(host->scheduler));
    if (const Failure* refusal = first_refusal(name, cpus, sched)) {
        return std::unexpected(*refusal);
    }
    const auto scheduler = parse_scheduler(*sched);
    if (!scheduler) {
        return failed(Code::bad_value, "sched: \"" + *sched + "\" is no scheduler: give credit2 or null");
    }
    for (const unsigned cpu : *cpus) {
        if (!has(*free, cpu)) {
            return failed(Code::bad_state, "CPU " + std::to_string(cpu) +
                                               " is in a pool already: take it from there first, with xm "
                                               "cpupool-cpu-remove");
        }
    }
    const auto id = control_.create_pool(*scheduler);
    if (!id) {
        return failed(id.error());
    }
    Result<void> done = write_pool_name(store_, *id, *name);
    for (auto cpu = cpus->begin(); done && cpu != cpus->end(); ++cpu) {
        done = control_.add_to_pool(*id, *cpu);
    }
    if (!done) {
        for (const unsigned cpu : *cpus) {
            static_cast<void>(control_.take_from_pool(*id, cpu)); // those it has got
        }
        static_cast<void>(control_.destroy_pool(*id));
        static_cast<void>(store_.remove(pool_path(*id)));
        return failed(done.error());
    }
    return Json{{"id", *id}, {"name", *name}};
}

Answer Operations::pool_destroy(const Json& args)
{
    const auto pool = pool_argument(control_, store_, args);
    if (!pool) {
        return std::unexpected(pool.error());
    }
    const std::string name = pool_name(store_, pool->id);
    if (pool->id == 0) {
        return failed(Code::not_permitted, "\"" + name + "\" is the first CPU pool, which stays");
    }
    if (pool->domains != 0) {
        return failed(Code::bad_state, "\"" + name + "\" has " + std::to_string(pool->domains) +
                                           " domains: move them away with xm cpupool-migrate");
    }
    for (const unsigned cpu : members(pool->cpus)) {
        if (const auto taken = control_.take_from_pool(pool->id, cpu); !taken) {
            return failed(taken.error());
        }
    }
    if (const auto gone = control_.destroy_pool(pool->id); !gone) {
        return failed(gone.error());
    }
    if (const auto removed = store_.remove(pool_path(pool->id)); !removed) {
        return failed(removed.error());
    }
    return Json{{"id", pool->id}};
}

// Domains of ours follow, so that their restarts find the pool.
Answer Operations::pool_rename(const Json& args)
{
    const auto pool = pool_argument(control_, store_, args);
    const auto name = new_name_argument(control_, store_, args);
    if (const Failure* refusal = first_refusal(pool, name)) {
        return std::unexpected(*refusal);
    }
    const std::string before = pool_name(store_, pool->id);
    if (const auto written = write_pool_name(store_, pool->id, *name); !written) {
        return failed(written.error());
    }
    std::vector<Domid> followers;
    for (const auto& [id, domain] : supervisor_.domains().all()) {
        if (domain->config.pool == before) {
            followers.push_back(id);
        }
    }
    for (const Domid id : followers) {
        config::Domain_config changed = supervisor_.domains().find(id)->config;
        changed.pool                  = *name;
        supervisor_.set_config(id, std::move(changed));
    }
    return Json{{"id", pool->id}, {"name", *name}};
}

Answer Operations::pool_cpus(const Json& args)
{
    const auto pool = pool_argument(control_, store_, args);
    const auto add  = flag_argument(args, "add");
    const auto host = control_.host();
    const auto free = control_.free_cpus();
    if (!host || !free) {
        return failed(host ? free.error() : host.error());
    }
    const auto cpus = cpus_argument(args, *host);
    if (const Failure* refusal = first_refusal(pool, add, cpus)) {
        return std::unexpected(*refusal);
    }
    const std::string name = pool_name(store_, pool->id);
    for (const unsigned cpu : *cpus) {
        if (*add && !has(*free, cpu)) {
            return failed(Code::bad_state, "CPU " + std::to_string(cpu) +
                                               (has(pool->cpus, cpu) ? " is in \"" + name + "\" already"
                                                                     : " is in another pool: take it from "
                                                                       "there first"));
        }
        if (!*add && !has(pool->cpus, cpu)) {
            return failed(Code::bad_state, "CPU " + std::to_string(cpu) + " is not in \"" + name + "\"");
        }
    }
    if (!*add && cpus->size() == members(pool->cpus).size() && pool->domains != 0) {
        return failed(Code::bad_state, "\"" + name + "\" has domains, which need a CPU: leave it one");
    }
    for (const unsigned cpu : *cpus) {
        const auto done = *add ? control_.add_to_pool(pool->id, cpu) : control_.take_from_pool(pool->id, cpu);
        if (!done) {
            return failed(done.error());
        }
    }
    return Json{{"id", pool->id}, {"cpus", *cpus}};
}

Answer Operations::pool_move(const Json& args)
{
    const auto found = guest_target(args);
    const auto pool  = pool_argument(control_, store_, args);
    if (const Failure* refusal = first_refusal(found, pool)) {
        return std::unexpected(*refusal);
    }
    const std::string name = pool_name(store_, pool->id);
    const auto info        = control_.info(found->id);
    if (!info) {
        return failed(info.error());
    }
    if (info->pool == pool->id) {
        return Json{{"domid", raw(found->id)}, {"pool", name}};
    }
    const unsigned vcpus = found->domain != nullptr ? found->domain->config.vcpus : info->online_vcpus;
    if (const auto room = check_room(control_, store_, *pool, vcpus, found->name); !room) {
        return failed(room.error());
    }
    if (const auto moved = control_.move_to_pool(found->id, pool->id); !moved) {
        return failed(moved.error());
    }
    Result<void> shares;
    if (found->domain != nullptr) {
        config::Domain_config changed = found->domain->config;
        changed.pool                  = pool->id == 0 ? "" : name;
        changed.affinity.clear();
        changed.soft_affinity.clear();
        shares = set_shares(control_, found->id, changed);
        supervisor_.set_config(found->id, std::move(changed));
    }
    if (!shares) {
        return failed(shares.error());
    }
    return Json{{"domid", raw(found->id)}, {"pool", name}};
}

Answer Operations::cpu_online(const Json& args)
{
    const auto cpu    = number_argument(args, "cpu");
    const auto online = flag_argument(args, "online");
    if (const Failure* refusal = first_refusal(cpu, online)) {
        return std::unexpected(*refusal);
    }
    const auto host = control_.host();
    if (!host) {
        return failed(host.error());
    }
    if (*cpu > host->max_cpu_id) {
        return failed(Code::bad_value, no_such_cpu(*cpu, *host));
    }
    const std::string name = "CPU " + std::to_string(*cpu);
    if (*cpu == 0 && !*online) {
        return failed(Code::not_permitted, name + " serves the devices' interrupts and stays online");
    }
    const auto done = control_.set_cpu_online(static_cast<unsigned>(*cpu), *online);
    if (!done && done.error().code == Errc::exists) {
        return failed(Code::bad_state, name + " is " + (*online ? "online" : "offline") + " already");
    }
    if (!done && done.error().code == Errc::busy) {
        return failed(Code::bad_state, name +
                                           " is the last one of a CPU pool that has domains: give it another "
                                           "with xm cpupool-cpu-add, or move them with xm cpupool-migrate");
    }
    if (!done) {
        return failed(done.error());
    }
    return Json{{"cpu", *cpu}, {"online", *online}};
}

} // namespace vmm

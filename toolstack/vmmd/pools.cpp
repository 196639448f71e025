// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/pools.hpp"

#include <bit>

#include <xen/domctl.h>

namespace vmm
{

unsigned count_of(const Cpu_bits& cpus)
{
    unsigned count = 0;
    for (const std::uint8_t byte : cpus) {
        count += static_cast<unsigned>(std::popcount(byte));
    }
    return count;
}

std::string pool_path(unsigned id) { return "/local/pool/" + std::to_string(id); }

std::string pool_name(Store_server& store, unsigned id)
{
    return store.read(pool_path(id) + "/name").value_or("Pool-" + std::to_string(id));
}

Result<Cpu_pool> find_pool(Control& control, Store_server& store, std::string_view wanted)
{
    for (Cpu_pool& pool : TRY(control.pools())) {
        if (wanted.empty() ? pool.id == 0
                           : wanted == pool_name(store, pool.id) || wanted == std::to_string(pool.id)) {
            return std::move(pool);
        }
    }
    return fail(Errc::not_found, "there is no CPU pool \"" + std::string(wanted) +
                                     "\": xm cpupool-list shows those there are");
}

Result<void> check_room(Control& control, Store_server& store, const Cpu_pool& pool, unsigned vcpus,
                        const std::string& name)
{
    const unsigned cpus = count_of(pool.cpus);
    const auto where    = "the CPU pool \"" + pool_name(store, pool.id) + "\"";
    if (cpus == 0) {
        return fail(Errc::busy, where + " has no CPUs: give it some with xm cpupool-cpu-add");
    }
    if (pool.scheduler != XEN_SCHEDULER_NULL) {
        return {};
    }
    unsigned taken = 0;
    for (const Domain_info& info : TRY(control.list())) {
        taken += info.pool == pool.id ? info.online_vcpus : 0;
    }
    if (taken + vcpus <= cpus) {
        return {};
    }
    return fail(Errc::busy, where + " has the null scheduler, where each vCPU has a CPU to itself: of " +
                                std::to_string(cpus) + " CPUs " + std::to_string(taken) +
                                " are taken, and \"" + name + "\" needs " + std::to_string(vcpus));
}

Result<void> set_shares(Control& control, Domid id, const config::Domain_config& config)
{
    if (config.cpu_weight == config::kDefault_cpu_weight && config.cap == 0) {
        return {};
    }
    const auto done = control.set_scheduling(id, {config.cpu_weight, config.cap});
    return done || done.error().code == Errc::unsupported ? Result<void>() : done;
}

Result<void> write_pool_name(Store_server& store, unsigned id, const std::string& name)
{
    return store.write(pool_path(id) + "/name", name);
}

} // namespace vmm

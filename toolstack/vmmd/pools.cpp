// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/pools.hpp"

#include <bit>

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

Result<void> write_pool_name(Store_server& store, unsigned id, const std::string& name)
{
    return store.write(pool_path(id) + "/name", name);
}

} // namespace vmm

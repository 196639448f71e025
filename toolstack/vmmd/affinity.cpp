// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/affinity.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace vmm
{

Result<Cpu_bits> to_bits(const config::Cpu_set& set, const Host_info& host)
{
    Cpu_bits bits(host.max_cpu_id / 8 + 1, 0);
    for (unsigned cpu = 0; cpu <= host.max_cpu_id; ++cpu) {
        if (set.contains(cpu)) {
            bits[cpu / 8] |= static_cast<std::uint8_t>(1U << (cpu % 8));
        }
    }
    if (std::ranges::all_of(bits, [](std::uint8_t byte) { return byte == 0; })) {
        return fail(Errc::out_of_range, "this machine has no processor " + set.to_string() +
                                            "; it has 0 to " + std::to_string(host.max_cpu_id));
    }
    return bits;
}

std::string to_text(const Cpu_bits& bits, const Host_info& host)
{
    std::set<unsigned> cpus;
    for (unsigned cpu = 0; cpu < bits.size() * 8; ++cpu) {
        if ((bits[cpu / 8] >> (cpu % 8) & 1) != 0) {
            cpus.insert(cpu);
        }
    }
    // Every processor there is reads better as "all", which an empty set means.
    if (cpus.size() >= host.cpus) {
        cpus.clear();
    }
    return config::Cpu_set::of(std::move(cpus)).to_string();
}

void set_affinity_of(std::vector<config::Cpu_set>& list, unsigned vcpu, const config::Cpu_set& set)
{
    if (list.size() <= vcpu) {
        list.resize(vcpu + 1);
    }
    list[vcpu] = set;
}

} // namespace vmm

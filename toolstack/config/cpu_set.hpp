// SPDX-License-Identifier: Apache-2.0
// A set of physical CPUs as users write it in `cpus`: "all", "2", "0-3,^1". "All" is a value of its own, not
// a list of every number, because the tools do not know how many CPUs the machine has (and it may change).
// Entries are read left to right: "^1" takes CPU 1 out of what came before it.
#pragma once

#include <cstddef>
#include <expected>
#include <set>
#include <string>
#include <string_view>

namespace vmm::config
{

inline constexpr unsigned kMax_cpu_number = 4095;

class Cpu_set
{
  public:
    Cpu_set() = default; // all CPUs

    [[nodiscard]] static std::expected<Cpu_set, std::string> parse(std::string_view text);

    [[nodiscard]] bool is_all() const { return cpus_.empty(); }
    [[nodiscard]] bool contains(unsigned cpu) const { return is_all() || cpus_.contains(cpu); }
    [[nodiscard]] const std::set<unsigned>& cpus() const { return cpus_; } // empty when is_all()
    [[nodiscard]] std::string to_string() const;                           // "all" or "0,2-3"

    // Only for results that come from the hypervisor as a bitmap; an empty set means all.
    [[nodiscard]] static Cpu_set of(std::set<unsigned> cpus);

    friend bool operator==(const Cpu_set&, const Cpu_set&) = default;

  private:
    std::set<unsigned> cpus_;
};

} // namespace vmm::config

// SPDX-License-Identifier: Apache-2.0
// The keys that describe a domain, each with the function that reads its value into a draft. The draft holds
// what the final config does not keep apart: whether a value was given at all, and the three ways to write a
// command line.
#pragma once

#include "toolstack/config/domain_config.hpp"
#include "toolstack/config/syntax.hpp"

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vmm::config
{

struct Draft {
    Domain_config config;
    std::string directory; // that relative paths are taken from
    std::optional<std::string> root, extra, cmdline;
    std::optional<std::uint64_t> memory, maxmem;
    std::optional<unsigned> maxvcpus;
    std::optional<Cpu_set> every_vcpu, every_vcpu_soft; // cpus = "..." as opposed to a list
    std::vector<Diagnostic> remarks;                    // warnings about the value being read, as clauses
};

// What is wrong with a value, as a clause without key and place, and the place, if not its beginning.
struct Bad_value {
    std::string message;
    std::optional<std::string> place;

    Bad_value(std::string text) : message(std::move(text)) {}
    Bad_value(const char* text) : message(text) {}
    Bad_value(std::string text, std::string where) : message(std::move(text)), place(std::move(where)) {}
};

using Reading_result = std::expected<void, Bad_value>;

struct Key_reader {
    std::string_view name;
    Reading_result (*read)(const Value& value, Draft& draft);
};

[[nodiscard]] std::span<const Key_reader> key_readers();
[[nodiscard]] const Key_reader* find_key_reader(std::string_view name);

} // namespace vmm::config

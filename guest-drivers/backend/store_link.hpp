// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a backend asks of the store: reading, changing nodes that are there, and hearing of changes. Values
// read below a frontend's directory come from a guest. An error means that the store cannot be reached.

#include "toolstack/base/error.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vmm::block
{

class Store_link
{
  public:
    using Nodes = std::vector<std::pair<std::string, std::string>>; // paths and values

    virtual ~Store_link() = default;

    // Nothing if there is no such node.
    [[nodiscard]] virtual Result<std::optional<std::string>> read(const std::string& path)    = 0;
    // All at once, and only while `guard` exists: false if it does not.
    [[nodiscard]] virtual Result<bool> write_if(const std::string& guard, const Nodes& nodes) = 0;
    // From now on changes at and below the path are told, the first time at once.
    [[nodiscard]] virtual Result<void> watch(const std::string& path)                         = 0;
};

} // namespace vmm::block

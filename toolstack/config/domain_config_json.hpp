// SPDX-License-Identifier: Apache-2.0
// Domain_config as JSON: how it travels from `xm` to `vmmd`, how vmmd keeps it, and what `xm create -n`
// prints. The field table is in ../control/README.md. Reading is strict: an unknown field, a wrong type or a
// value that validate() refuses is an error that names the field, and the caller gets no half-filled config.
#pragma once

#include "toolstack/config/domain_config.hpp"

#include <nlohmann/json.hpp>

namespace vmm::config
{

using Json = nlohmann::ordered_json; // keeps the order we write, for people who read it

[[nodiscard]] Json to_json(const Domain_config& config);
[[nodiscard]] std::expected<Domain_config, Problem> from_json(const Json& json);

} // namespace vmm::config

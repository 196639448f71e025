// SPDX-License-Identifier: Apache-2.0
// A Domain_config as configuration text with every value spelt out: what `xm create -n` prints. Reading it
// back gives the same config.
#pragma once

#include "toolstack/config/domain_config.hpp"

#include <string>

namespace vmm::config
{

[[nodiscard]] std::string write(const Domain_config& config);

} // namespace vmm::config

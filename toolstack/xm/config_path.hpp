// SPDX-License-Identifier: Apache-2.0
// Which file "demo" in `xm create demo` is.
#pragma once

#include "toolstack/xm/exit_code.hpp"

#include <string>

namespace vmm::xm
{

// VMM_CONFIG_DIR from the environment, else /etc/vmm.
[[nodiscard]] std::string config_directory();

// With a slash: as it is. Without: the file here, then in the config directory as it is, then there with
// .cfg.
[[nodiscard]] Outcome<std::string> find_config(const std::string& name);

} // namespace vmm::xm

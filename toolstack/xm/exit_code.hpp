// SPDX-License-Identifier: Apache-2.0
// How an xm command ends, for scripts: the exit codes are public (xm(1), EXIT STATUS) and never change their
// meaning.
#pragma once

#include "toolstack/control/client.hpp"

#include <expected>
#include <string>
#include <string_view>

namespace vmm::xm
{

enum class Exit : int {
    ok         = 0,
    failed     = 1, // vmmd or the hypervisor refused; nothing was changed
    usage      = 2, // no such command or option, or a word too many or too few
    bad_config = 3, // the configuration is wrong
    no_domain  = 4, // no domain has that name, id or UUID
    no_vmmd    = 5, // vmmd does not answer
    timed_out  = 6, // --timeout passed before the domain ended
};

struct Failure {
    Exit exit = Exit::failed;
    std::string code;    // for --json: the control protocol's code, or "usage", "no-vmmd", "timed-out"
    std::string message; // one line, complete
};

template <class T = void>
using Outcome = std::expected<T, Failure>;

[[nodiscard]] std::unexpected<Failure> usage_error(std::string message);
[[nodiscard]] std::unexpected<Failure> config_error(std::string message);
[[nodiscard]] std::unexpected<Failure> failed(std::string message);
[[nodiscard]] Failure to_failure(const control::Call_failure& failure);

} // namespace vmm::xm

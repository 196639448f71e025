// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/exit_code.hpp"

#include <utility>

namespace vmm::xm
{

namespace
{

Exit exit_for(control::Code code)
{
    switch (code) {
    case control::Code::bad_config: return Exit::bad_config;
    case control::Code::no_domain: return Exit::no_domain;
    default: return Exit::failed;
    }
}

} // namespace

std::unexpected<Failure> usage_error(std::string message)
{
    return std::unexpected(Failure{Exit::usage, "usage", std::move(message)});
}

std::unexpected<Failure> config_error(std::string message)
{
    return std::unexpected(Failure{Exit::bad_config, "bad-config", std::move(message)});
}

std::unexpected<Failure> failed(std::string message)
{
    return std::unexpected(Failure{Exit::failed, "failed", std::move(message)});
}

Failure to_failure(const control::Call_failure& failure)
{
    using Kind = control::Call_failure::Kind;
    switch (failure.kind) {
    case Kind::no_vmmd: return {Exit::no_vmmd, "no-vmmd", failure.message};
    case Kind::lost: return {Exit::no_vmmd, "lost-vmmd", failure.message};
    case Kind::timed_out: return {Exit::timed_out, "timed-out", failure.message};
    case Kind::refused:
        return {exit_for(failure.code), std::string{code_name(failure.code)}, failure.message};
    }
    std::unreachable();
}

} // namespace vmm::xm

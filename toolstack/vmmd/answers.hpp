// SPDX-License-Identifier: Apache-2.0
#pragma once
// Small helpers of the operations: failures for the socket out of errors of the layers below, and checked
// reading of arguments.

#include "toolstack/control/protocol.hpp"

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace vmm
{

[[nodiscard]] std::unexpected<control::Failure> failed(const Error& error);
[[nodiscard]] std::unexpected<control::Failure> failed(control::Code code, std::string message);

// `args[name]`, or a bad-request that says what was expected.
[[nodiscard]] std::expected<std::string, control::Failure> text_argument(const control::Json& args,
                                                                         std::string_view name);
[[nodiscard]] std::expected<std::uint64_t, control::Failure> number_argument(const control::Json& args,
                                                                             std::string_view name);
[[nodiscard]] std::expected<bool, control::Failure> flag_argument(const control::Json& args,
                                                                  std::string_view name);

// Why the first of these arguments that is not good is refused; null when all are good.
template <class... Arguments>
[[nodiscard]] const control::Failure* first_refusal(const Arguments&... arguments)
{
    const control::Failure* first = nullptr;
    static_cast<void>(((arguments ? false : (first = &arguments.error(), true)) || ...));
    return first;
}

} // namespace vmm

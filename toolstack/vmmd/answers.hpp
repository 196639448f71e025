// SPDX-License-Identifier: Apache-2.0
#pragma once
// Small helpers of the operations: failures for the socket out of errors of the layers below, and checked
// reading of arguments.

#include "toolstack/control/protocol.hpp"

#include <cstdint>
#include <expected>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

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

// A word of a small vocabulary, the first one when it is not given.
template <class T>
[[nodiscard]] std::expected<T, control::Failure>
word_argument(const control::Json& args, std::string_view name,
              std::initializer_list<std::pair<std::string_view, T>> words)
{
    if (!args.contains(name)) {
        return words.begin()->second;
    }
    const auto given = text_argument(args, name);
    if (!given) {
        return std::unexpected(given.error());
    }
    std::string known;
    for (const auto& [word, value] : words) {
        if (*given == word) {
            return value;
        }
        known += (known.empty() ? "" : ", ") + std::string(word);
    }
    return failed(control::Code::bad_value, std::string(name) + ": \"" + *given + "\" is none of " + known);
}

// Why the first of these arguments that is not good is refused; null when all are good.
template <class... Arguments>
[[nodiscard]] const control::Failure* first_refusal(const Arguments&... arguments)
{
    const control::Failure* first = nullptr;
    static_cast<void>(((arguments ? false : (first = &arguments.error(), true)) || ...));
    return first;
}

} // namespace vmm

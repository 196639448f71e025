// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/answers.hpp"

#include "toolstack/build/kernel_cache.hpp"

namespace vmm
{

using control::Code;
using control::Failure;
using control::Json;

std::unexpected<Failure> failed(Code code, std::string message)
{
    return std::unexpected(Failure{code, std::move(message)});
}

std::unexpected<Failure> failed(const Error& error)
{
    const Code code = error.code == kBadKernel ? Code::bad_kernel : control::code_for(error.code);
    return failed(code, error.message);
}

std::expected<std::string, Failure> text_argument(const Json& args, std::string_view name)
{
    const auto found = args.find(name);
    if (found == args.end() || !found->is_string()) {
        return failed(Code::bad_request, "the request has no \"" + std::string(name) + "\" string");
    }
    return found->get<std::string>();
}

std::expected<std::uint64_t, Failure> number_argument(const Json& args, std::string_view name)
{
    const auto found = args.find(name);
    if (found == args.end() || !found->is_number_unsigned()) {
        return failed(Code::bad_request,
                      "the request has no \"" + std::string(name) + "\", a whole number from 0");
    }
    return found->get<std::uint64_t>();
}

std::expected<bool, Failure> flag_argument(const Json& args, std::string_view name)
{
    const auto found = args.find(name);
    if (found == args.end()) {
        return false;
    }
    if (!found->is_boolean()) {
        return failed(Code::bad_request, "\"" + std::string(name) + "\" is true or false");
    }
    return found->get<bool>();
}

} // namespace vmm

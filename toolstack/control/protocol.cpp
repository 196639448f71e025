// SPDX-License-Identifier: Apache-2.0
#include "toolstack/control/protocol.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

namespace vmm::control
{

namespace
{

constexpr std::array<std::pair<Code, std::string_view>, 13> kCodes{{
    {Code::bad_request, "bad-request"},
    {Code::unknown_op, "unknown-op"},
    {Code::bad_config, "bad-config"},
    {Code::bad_value, "bad-value"},
    {Code::no_domain, "no-domain"},
    {Code::exists, "exists"},
    {Code::no_file, "no-file"},
    {Code::bad_kernel, "bad-kernel"},
    {Code::no_memory, "no-memory"},
    {Code::bad_state, "bad-state"},
    {Code::not_permitted, "not-permitted"},
    {Code::unsupported, "unsupported"},
    {Code::internal, "internal"},
}};

std::string to_line(const Json& json)
{
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::uint64_t id_of(const Json& json)
{
    const auto it = json.find("id");
    return it != json.end() && it->is_number_unsigned() ? it->get<std::uint64_t>() : 0;
}

Json parse(std::string_view line) { return Json::parse(line, nullptr, false); }

} // namespace

std::string socket_path()
{
    const char* path = std::getenv("VMMD_SOCKET");
    return path != nullptr && *path != '\0' ? std::string{path} : std::string{kDefault_socket};
}

std::string_view code_name(Code code)
{
    return std::ranges::find(kCodes, code, &decltype(kCodes)::value_type::first)->second;
}

std::optional<Code> parse_code(std::string_view name)
{
    const auto it = std::ranges::find(kCodes, name, &decltype(kCodes)::value_type::second);
    if (it == kCodes.end())
        return std::nullopt;
    return it->first;
}

Code code_for(Errc errc)
{
    switch (errc) {
    case Errc::not_found: return Code::no_file;
    case Errc::no_such_domain: return Code::no_domain;
    case Errc::out_of_memory: return Code::no_memory;
    case Errc::exists: return Code::exists;
    case Errc::busy:
    case Errc::timed_out: return Code::bad_state;
    case Errc::not_permitted:
    case Errc::access_denied: return Code::not_permitted;
    case Errc::invalid:
    case Errc::too_big:
    case Errc::out_of_range: return Code::bad_value;
    case Errc::not_implemented:
    case Errc::unsupported: return Code::unsupported;
    default: return Code::internal;
    }
}

std::string encode(const Request& request)
{
    return to_line({{"id", request.id}, {"op", request.op}, {"args", request.args}});
}

std::string encode(const Reply& reply)
{
    if (reply.result)
        return to_line({{"id", reply.id}, {"ok", true}, {"result", *reply.result}});
    const auto& [code, message] = reply.result.error();
    return to_line(
        {{"id", reply.id}, {"ok", false}, {"error", {{"code", code_name(code)}, {"message", message}}}});
}

std::expected<Request, Reply> decode_request(std::string_view line)
{
    const Json json = parse(line);
    if (!json.is_object())
        return std::unexpected(failure(0, Code::bad_request, "the request is not a JSON object"));

    Request request;
    request.id = id_of(json);
    if (request.id == 0)
        return std::unexpected(
            failure(0, Code::bad_request, "the request has no positive whole number \"id\""));
    const auto op = json.find("op");
    if (op == json.end() || !op->is_string())
        return std::unexpected(failure(request.id, Code::bad_request, "the request has no \"op\" string"));
    request.op = op->get<std::string>();
    if (const auto args = json.find("args"); args != json.end()) {
        if (!args->is_object())
            return std::unexpected(failure(request.id, Code::bad_request, "\"args\" is not an object"));
        request.args = *args;
    }
    return request;
}

Result<Reply> decode_reply(std::string_view line)
{
    const auto bad = [] {
        return fail(Errc::protocol, "vmmd sent an answer that is not in the control protocol");
    };
    const Json json = parse(line);
    if (!json.is_object())
        return bad();
    const auto ok = json.find("ok");
    if (ok == json.end() || !ok->is_boolean())
        return bad();
    if (ok->get<bool>()) {
        const auto result = json.find("result");
        if (result == json.end())
            return bad();
        return success(id_of(json), *result);
    }
    const auto error = json.find("error");
    if (error == json.end() || !error->is_object())
        return bad();
    const auto code    = error->find("code");
    const auto message = error->find("message");
    if (code == error->end() || !code->is_string() || message == error->end() || !message->is_string())
        return bad();
    // A code this client does not know comes from a newer vmmd; its message still says everything.
    return failure(id_of(json), parse_code(code->get<std::string>()).value_or(Code::internal),
                   message->get<std::string>());
}

} // namespace vmm::control

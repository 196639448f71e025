// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/invocation.hpp"

#include <algorithm>

namespace vmm::xm
{

namespace
{

std::unexpected<Failure> bad_answer(const char* field)
{
    return std::unexpected(Failure{Exit::no_vmmd, "lost-vmmd",
                                   std::string{"vmmd's answer has no proper \""} + field +
                                       "\": xm and vmmd are of different releases, install both from one"});
}

const Json* find(const Json& answer, const char* field)
{
    if (!answer.is_object())
        return nullptr;
    const auto it = answer.find(field);
    return it == answer.end() ? nullptr : &*it;
}

} // namespace

Outcome<control::Client*> Invocation::vmmd()
{
    if (!vmmd_) {
        auto client = control::Client::connect(control::socket_path());
        if (!client)
            return std::unexpected(to_failure(client.error()));
        vmmd_ = *std::move(client);
    }
    return &*vmmd_;
}

Outcome<Json> Invocation::call(std::string_view op, Json args)
{
    auto* const client = TRY(vmmd());
    auto answer        = client->call(op, std::move(args));
    if (!answer)
        return std::unexpected(to_failure(answer.error()));
    return *std::move(answer);
}

bool Invocation::print_json(const Json& result) const
{
    if (json())
        io_.out << result.dump(4, ' ', false, Json::error_handler_t::replace) << '\n';
    return json();
}

void Invocation::warn(const std::string& message) const
{
    io_.err << "xm: " << one_line(message) << '\n' << std::flush;
}

Outcome<std::uint64_t> number_field(const Json& answer, const char* field)
{
    const Json* const value = find(answer, field);
    if (value == nullptr || !value->is_number_unsigned())
        return bad_answer(field);
    return value->get<std::uint64_t>();
}

Outcome<std::string> text_field(const Json& answer, const char* field)
{
    const Json* const value = find(answer, field);
    if (value == nullptr || !value->is_string())
        return bad_answer(field);
    return value->get<std::string>();
}

Outcome<Json> list_field(const Json& answer, const char* field)
{
    const Json* const value = find(answer, field);
    if (value == nullptr || !value->is_array())
        return bad_answer(field);
    return *value;
}

std::string one_line(std::string_view text)
{
    std::string line{text};
    std::ranges::replace_if(
        line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return line;
}

} // namespace vmm::xm

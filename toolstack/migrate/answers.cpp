// SPDX-License-Identifier: Apache-2.0
#include "toolstack/migrate/answers.hpp"

#include <nlohmann/json.hpp>

namespace vmm::migrate
{

namespace
{

using Json = nlohmann::ordered_json;

std::string text(const Json& json, const char* field)
{
    const auto found = json.find(field);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

} // namespace

Result<Answer> read_answer(save::Image_reader& in)
{
    const save::Record record = TRY(in.next());
    const auto* const begin   = reinterpret_cast<const char*>(record.payload.data());
    const Json json           = record.type == save::Record_type::answer
                                    ? Json::parse(begin, begin + record.payload.size(), nullptr, false)
                                    : Json();
    Answer answer;
    if (json.is_object()) {
        answer = {text(json, "word"), text(json, "error")};
    }
    if (answer.word.empty() == answer.error.empty()) {
        return in.corrupted("it is no answer");
    }
    return answer;
}

Result<void> put_answer(save::Image_writer& out, const Answer& answer)
{
    const Json json = answer.error.empty() ? Json{{"word", answer.word}} : Json{{"error", answer.error}};
    const std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    TRY(out.put(save::Record_type::answer, std::as_bytes(std::span(line))));
    return out.flush();
}

} // namespace vmm::migrate

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/waiting.hpp"

#include <algorithm>

namespace vmm::xm
{

namespace
{

struct Phrase {
    std::string_view reason, text;
};

constexpr Phrase kPhrases[] = {
    {"poweroff", "has powered off"},
    {"reboot", "has rebooted"},
    {"suspend", "has suspended"},
    {"crash", "has crashed"},
    {"watchdog", "was ended by its watchdog"},
    {"destroyed", "was destroyed"},
};

} // namespace

std::string Ending::describe(std::string_view name) const
{
    const auto* const phrase = std::ranges::find(kPhrases, reason, &Phrase::reason);
    std::string text{name};
    text += " ";
    text += phrase == std::end(kPhrases) ? "has ended" : phrase->text;
    if (outcome == "preserved")
        text += ", and is kept until 'xm destroy'";
    else if (new_domid)
        text += ", and runs again with id " + std::to_string(*new_domid);
    return text;
}

Outcome<Ending> read_ending(const Json& answer)
{
    Ending ending;
    ending.outcome = TRY(text_field(answer, "outcome"));
    ending.reason  = TRY(text_field(answer, "reason"));
    if (ending.outcome == "restarted")
        ending.new_domid = TRY(number_field(answer, "new_domid"));
    return ending;
}

} // namespace vmm::xm

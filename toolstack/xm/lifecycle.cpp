// SPDX-License-Identifier: Apache-2.0
// pause, unpause, destroy, sysrq: the verbs that take effect before they return.
#include "toolstack/xm/command.hpp"

namespace vmm::xm
{

namespace
{

// One after the other; the first refusal ends it, and what was done before stays done.
Outcome<> for_each_domain(Invocation& invocation, std::string_view op)
{
    Json answers = Json::array();
    for (const auto& domain : invocation.words())
        answers.push_back(TRY(invocation.call(op, {{"domain", domain}})));
    invocation.print_json({{"domains", answers}});
    return {};
}

bool is_sysrq_key(std::string_view key)
{
    const char c = key.empty() ? '\0' : key.front();
    return key.size() == 1 && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
}

} // namespace

Outcome<> pause(Invocation& invocation) { return for_each_domain(invocation, control::op::pause); }

Outcome<> unpause(Invocation& invocation) { return for_each_domain(invocation, control::op::unpause); }

Outcome<> destroy(Invocation& invocation) { return for_each_domain(invocation, control::op::destroy); }

Outcome<> sysrq(Invocation& invocation)
{
    const auto& key = invocation.word(1);
    if (!is_sysrq_key(key))
        return usage_error("\"" + key + "\" is no SysRq key: give one letter or digit, as 'h' for its help");
    const auto answer =
        TRY(invocation.call(control::op::sysrq, {{"domain", invocation.word(0)}, {"key", key}}));
    invocation.print_json(answer);
    return {};
}

} // namespace vmm::xm

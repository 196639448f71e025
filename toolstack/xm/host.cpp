// SPDX-License-Identifier: Apache-2.0
// info, dmesg: the machine and the hypervisor.
#include "toolstack/xm/command.hpp"

#include <iomanip>

namespace vmm::xm
{

Outcome<> info(Invocation& invocation)
{
    const auto answer = TRY(invocation.call(control::op::info));
    if (invocation.print_json(answer))
        return {};
    for (const auto& [key, value] : answer.items()) {
        const auto text = value.is_string() ? value.get<std::string>() : value.dump();
        invocation.out() << std::left << std::setw(22) << one_line(key) << " : " << one_line(text) << '\n';
    }
    return {};
}

void dmesg_options(Options& options) { options.add_options()("clear,c", "empty the log after showing it"); }

Outcome<> dmesg(Invocation& invocation)
{
    const auto answer = TRY(invocation.call(control::op::dmesg, {{"clear", invocation.has("clear")}}));
    if (invocation.print_json(answer))
        return {};
    const auto text = TRY(text_field(answer, "text"));
    invocation.out() << text << (text.empty() || text.ends_with('\n') ? "" : "\n");
    return {};
}

} // namespace vmm::xm

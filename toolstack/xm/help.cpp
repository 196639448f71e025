// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/command.hpp"

#include <iomanip>

namespace vmm::xm
{

void print_help(const Command& command, std::ostream& out)
{
    out << "Usage: xm " << command.name << " [OPTIONS]" << (command.synopsis.empty() ? "" : " ")
        << command.synopsis << "\n\n"
        << command.summary << "\n";
    if (!command.details.empty())
        out << command.details << "\n";
    out << "\n" << options_of(command);
}

Outcome<> help(Invocation& invocation)
{
    auto& out = invocation.out();
    if (!invocation.words().empty()) {
        const auto* const command = find_command(invocation.word(0));
        if (command == nullptr)
            return usage_error("unknown command \"" + invocation.word(0) + "\": 'xm help' lists them all");
        print_help(*command, out);
        return {};
    }
    Json list = Json::array();
    for (const auto& command : commands())
        list.push_back(
            {{"command", command.name}, {"synopsis", command.synopsis}, {"summary", command.summary}});
    if (invocation.print_json({{"commands", list}}))
        return {};
    out << "Usage: xm COMMAND [OPTIONS] [WORDS]\n\n";
    for (const auto& command : commands())
        out << "  " << std::left << std::setw(20) << command.name << command.summary << "\n";
    out << "\n'xm help COMMAND' shows one of them; the manual is xm(1).\n";
    return {};
}

} // namespace vmm::xm

// SPDX-License-Identifier: Apache-2.0
#include "lib/shell.hpp"

#include "guest/events.hpp"
#include "guest/grants.hpp"
#include "guest/platform.hpp"
#include "protocol/number.hpp"

namespace vmm::domu
{

guest::Console console;
guest::Store store;

namespace
{

constexpr u32 kLongestLine = 240;
constexpr u32 kMostWords   = 12;

void to_console(std::string_view text)
{
    for (const char c : text) {
        if (c == '\n')
            console.write("\r");
        console.write({&c, 1});
    }
}

// Takes in what is typed, echoes it, and returns a whole line without its end.
std::string_view read_line(bool (*idle)())
{
    static char line[kLongestLine];
    u32 length = 0;
    for (;;) {
        char c = 0;
        while (console.read(&c, 1) == 0) {
            // idle() may have slept over the event that told of what was typed.
            if (!idle() && !console.readable())
                asm volatile("sti; hlt; cli" : : : "memory");
        }
        if (c == '\r' || c == '\n') {
            guest::print("");
            return {line, length};
        }
        if (c >= ' ' && length < kLongestLine) {
            line[length++] = c;
            console.write({&c, 1});
        }
    }
}

Words split(std::string_view line)
{
    static std::array<std::string_view, kMostWords> words;
    u32 count = 0;
    while (count < kMostWords) {
        const u64 begin = line.find_first_not_of(' ');
        if (begin == line.npos)
            break;
        line           = line.substr(begin);
        const u64 end  = line.find(' ');
        words[count++] = line.substr(0, end);
        line           = end == line.npos ? std::string_view{} : line.substr(end);
    }
    return {words.data(), count};
}

Outcome echo(Words words)
{
    guest::Line line;
    for (const std::string_view word : words) {
        line.put(word);
        line.put(" ");
    }
    guest::print("said: ", line.text());
    return good();
}

Outcome run(std::span<const Command> commands, Words words)
{
    if (words[0] == "echo")
        return echo(words.subspan(1));
    for (const Command& command : commands) {
        if (command.name == words[0])
            return words.size() > command.words ? command.run(words.subspan(1))
                                                : failure(words[0], " needs ", command.words, " words");
    }
    return failure("no command ", words[0]);
}

} // namespace

bool start()
{
    if (guest::map_shared_info() != 0 || guest::set_event_vector() != 0)
        return false;
    guest::events::install();
    if (guest::grants::start() != 0 || !console.open() || !store.open())
        return false;
    guest::print_to(to_console);
    return true;
}

void serve(std::span<const Command> commands, bool (*idle)())
{
    for (;;) {
        console.write("guest> ");
        const Words words = split(read_line(idle));
        if (words.empty())
            continue;
        const Outcome outcome = run(commands, words);
        if (outcome.good())
            guest::print("ok");
        else
            guest::print("failed: ", outcome.reason.text());
    }
}

u64 number(std::string_view word, u64 absent) { return protocol::number_from(word, absent); }

} // namespace vmm::domu

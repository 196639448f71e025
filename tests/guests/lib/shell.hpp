// SPDX-License-Identifier: Apache-2.0
//
// The console of a domU test guest as a shell: a line that was typed becomes words, the first of which names
// a command; the answer is what the command prints and one last line, "ok" or "failed: REASON". "echo
// WORD..." every guest has.
#pragma once

#include "guest/console.hpp"
#include "guest/print.hpp"
#include "guest/store.hpp"

#include <array>
#include <span>
#include <string_view>

namespace vmm::domu
{

using guest::u32;
using guest::u64;
using guest::u8;

using Words = std::span<const std::string_view>;

// The reason of a failure; empty when all went well. Made with failure().
struct Outcome {
    guest::Line reason;
    [[nodiscard]] bool good() const { return reason.text().empty(); }
};
inline Outcome good() { return {}; }
template <class... Pieces>
Outcome failure(const Pieces&... pieces)
{
    Outcome outcome;
    (outcome.reason.put(pieces), ...);
    return outcome;
}

struct Command {
    std::string_view name;
    u32 words; // how many follow the name, at least
    Outcome (*run)(Words words);
};

extern guest::Console console;
extern guest::Store store;

// Events, grants, console, store; text goes to the console. False: the guest has no console or no store.
bool start();
// Answers lines for ever; `idle` is called again and again while nobody types, and tells whether there is
// more to do.
[[noreturn]] void serve(std::span<const Command> commands, bool (*idle)());

// A number given as a word; `absent` for what is none.
u64 number(std::string_view word, u64 absent = ~u64{0});

} // namespace vmm::domu

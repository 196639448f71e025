// SPDX-License-Identifier: Apache-2.0
#include "debug/guest_text.hpp"

#include "base/spinlock.hpp"
#include "debug/log.hpp"

#include <array>

namespace vmm
{
namespace
{

struct Line {
    Domid owner{};
    u8 length = 0;
    std::array<char, 120> text;

    [[nodiscard]] bool full() const { return length == text.size(); }
};

constinit Spinlock lock{Lock_rank::heap};
constinit std::array<Line, 8> lines{};

bool is_printable(char c) { return c >= ' ' && c <= '~'; }

void log_line(const Line& line)
{
    log::guest(log::Level::info, "d{}: {}", line.owner, std::string_view(line.text.data(), line.length));
}

// Adds a character to the domain's line; what is to be logged is moved to `done`.
bool add(Domid domain, char c, Line& done)
{
    const Lock_guard guard(lock);
    Line& line         = lines[domain.value() % lines.size()];
    const bool another = line.length != 0 && line.owner != domain;
    const bool log     = another || (line.length != 0 && (c == '\n' || line.full()));
    if (log) {
        done        = line;
        line.length = 0;
    }
    line.owner = domain;
    if (is_printable(c) || c == '\t')
        line.text[line.length++] = c == '\t' ? ' ' : c;
    return log;
}

} // namespace

void log_guest_text(Domid domain, std::string_view text)
{
    Line done;
    for (const char c : text) {
        if (add(domain, c, done))
            log_line(done);
    }
}

} // namespace vmm

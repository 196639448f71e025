// SPDX-License-Identifier: Apache-2.0
//
// Reads the NUL-terminated strings boot loaders leave. Shared by the two multiboot parsers.
#pragma once

#include "platform/boot_info.hpp"

namespace vmm
{

// At most N characters from `at`. False when memory ends before the string does.
template <std::size_t N>
bool read_text(const Physical_reader& memory, Hpa at, Fixed_text<N>& text, bool& truncated)
{
    char buffer[N + 1];
    std::size_t n = 0;
    for (; n <= N; ++n) {
        u8 c = 0;
        if (!memory.read(at + n, std::span<u8>(&c, 1)))
            return false;
        if (c == 0)
            break;
        buffer[n] = static_cast<char>(c);
    }
    text.assign(std::string_view(buffer, n));
    truncated = truncated || text.cut();
    return true;
}

// Without its first word, which some loaders make the file's name.
constexpr std::string_view without_first_word(std::string_view text)
{
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    while (!text.empty() && text.front() != ' ')
        text.remove_prefix(1);
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    return text;
}

// GRUB 2 passes only what follows the file's name; others pass the name too.
constexpr bool passes_file_name(std::string_view loader) { return !loader.starts_with("GRUB 2"); }

} // namespace vmm

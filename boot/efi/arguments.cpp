// SPDX-License-Identifier: Apache-2.0
#include "efi/arguments.hpp"

#include "platform/text_scan.hpp"

namespace vmm::efi
{
namespace
{

constexpr std::string_view kConfig = "-cfg=";

bool is_own_name(std::string_view word) { return word.ends_with(".efi") || word.ends_with(".EFI"); }

} // namespace

Arguments read_arguments(std::u16string_view text, std::span<char> room)
{
    text = text.substr(0, text.find(u'\0'));
    if (text.size() > room.size())
        return {};
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] < u' ' || text[i] > u'~')
            return {};
        room[i] = static_cast<char>(text[i]);
    }
    Arguments arguments;
    std::string_view rest(room.data(), text.size());
    for (bool first = true; !rest.empty(); first = false) {
        const auto word = take_until(rest, ' ');
        if (word.empty() || (first && is_own_name(word)))
            continue;
        if (word.starts_with(kConfig))
            arguments.config = word.substr(kConfig.size());
        else
            arguments.section = word;
    }
    return arguments;
}

} // namespace vmm::efi

// SPDX-License-Identifier: Apache-2.0
//
// What stands behind the application's name, in a boot entry of the firmware or in its shell: [-cfg=FILE]
// [SECTION]. A shell puts the name before it.
#pragma once

#include <span>
#include <string_view>

namespace vmm::efi
{

struct Arguments {
    std::string_view config = "plinth.cfg";
    std::string_view section; // empty: the file's default
};

// `text` as the firmware gave it, with or without a NUL; `room` keeps the words. Firmware that puts other
// data there is known: what is not printable ASCII, or does not fit, says nothing.
Arguments read_arguments(std::u16string_view text, std::span<char> room);

} // namespace vmm::efi

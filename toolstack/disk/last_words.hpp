// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a program that would not serve a disk said of it, from the file that took its standard error: people
// are to read that in the answer, not in a log.

#include <string>
#include <string_view>

namespace vmm::disk
{

// The last line that says something, without the program's own name in front; empty if there is none.
[[nodiscard]] std::string last_words(const std::string& path, std::string_view program);

} // namespace vmm::disk

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/disk/last_words.hpp"

#include <fstream>

namespace vmm::disk
{

std::string last_words(const std::string& path, std::string_view program)
{
    std::ifstream file(path);
    std::string last;
    for (std::string line; std::getline(file, line);) {
        if (!line.empty()) {
            last = line;
        }
    }
    const std::string name = std::string(program) + ": ";
    return last.starts_with(name) ? last.substr(name.size()) : last;
}

} // namespace vmm::disk

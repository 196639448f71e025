// SPDX-License-Identifier: Apache-2.0
#include "fakes/panic.hpp"

#include "base/panic.hpp"

namespace vmm
{

void panic_at(const char* file, int line, const char* what)
{
    throw fakes::Panicked(std::string(file) + ":" + std::to_string(line) + ": " + what);
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
//
// I/O ports of a machine that a test makes up.
#pragma once

#include "base/types.hpp"

#include <functional>

namespace vmm::test
{

struct Ports {
    std::function<u8(u16)> in;
    std::function<void(u16, u8)> out;
};

// What in8 and out8 reach.
extern Ports ports;

} // namespace vmm::test

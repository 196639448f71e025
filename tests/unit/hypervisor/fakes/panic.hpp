// SPDX-License-Identifier: Apache-2.0
//
// In tests a panic (or a failed assertion) is an exception, so that REQUIRE_THROWS can provoke one.
#pragma once

#include <stdexcept>
#include <string>

namespace vmm::fakes
{

struct Panicked : std::runtime_error {
    using std::runtime_error::runtime_error;
};

} // namespace vmm::fakes

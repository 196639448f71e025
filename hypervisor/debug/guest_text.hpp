// SPDX-License-Identifier: Apache-2.0
//
// What domUs say to the hypervisor, by CONSOLEIO_write or a port: it comes out in the guest log, a line at a
// time, without the characters that would do something to a terminal. The half-written lines of all domains
// share a few buffers; one that is too long comes out in pieces.
#pragma once

#include "base/types.hpp"

#include <string_view>

namespace vmm
{

void log_guest_text(Domid domain, std::string_view text);

} // namespace vmm

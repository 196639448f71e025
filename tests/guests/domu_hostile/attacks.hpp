// SPDX-License-Identifier: Apache-2.0
//
// What the hostile guest tries, by class of device. An attack ends with "ok" when the backend did what it
// must (refuse each request, or end the connection) and with "failed" when it did not; that dom0 lives is the
// scenario's to see.
#pragma once

#include "lib/shell.hpp"

namespace vmm::domu
{

Outcome net_attack(Words words);  // net NAME
Outcome disk_attack(Words words); // disk NUMBER NAME

} // namespace vmm::domu

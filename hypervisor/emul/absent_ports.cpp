// SPDX-License-Identifier: Apache-2.0
#include "emul/absent_ports.hpp"

#include "debug/guest_text.hpp"

namespace vmm
{
namespace
{

constexpr u16 kDebugPort = 0xe9;

} // namespace

void absent_port(Domid domain, Io_access access, u32& value)
{
    if (access.in) {
        value = absent_value(access.port);
        return;
    }
    const char c = static_cast<char>(value);
    if (access.port == kDebugPort)
        log_guest_text(domain, {&c, 1});
}

} // namespace vmm

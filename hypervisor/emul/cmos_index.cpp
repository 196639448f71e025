// SPDX-License-Identifier: Apache-2.0
#include "emul/cmos_index.hpp"

#include "emul/host_access.hpp"

namespace vmm
{

u8 Cmos_index::read(u16 port)
{
    if (port == kIndexPort)
        return index_;
    host_access::out(kIndexPort, 1, index_);
    return static_cast<u8>(host_access::in(kDataPort, 1));
}

void Cmos_index::write(u16 port, u8 value)
{
    if (port == kIndexPort) {
        index_ = value & 0x7f;
        return;
    }
    host_access::out(kIndexPort, 1, index_);
    host_access::out(kDataPort, 1, value);
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/io_permissions.hpp"

#include "base/spinlock.hpp"
#include "domain/domain.hpp"
#include "emul/domain_devices.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"

#include <cstring>

namespace vmm
{
namespace
{

constinit Hpa closed{0};
constinit Hpa of_devices{0};
constinit Spinlock lock{Lock_rank::devices};
constinit bool of_devices_done = false; // filled in when the domain that has them first runs

} // namespace

Expected<Hpa> filled_pages(unsigned order, int value)
{
    const Mfn mfn = TRY(frames.allocate(order));
    std::memset(to_virtual(mfn), value, kPageSize << order);
    return to_hpa(mfn);
}

Expected<void> make_io_permissions()
{
    closed     = TRY(filled_pages(2, 0xff));
    of_devices = TRY(filled_pages(2, 0));
    return {};
}

Hpa io_permission_map(Domain& domain)
{
    const auto* devices = domain.devices();
    if (!devices)
        return closed;
    const Lock_guard guard(lock); // nobody gets a map that another CPU has not yet filled in
    if (!of_devices_done) {
        of_devices_done = true;
        auto* map       = to_virtual<u8>(of_devices);
        for (u32 port = 0; port < 0x10000; ++port) {
            if (devices->port_is_trapped(static_cast<u16>(port)))
                map[port / 8] = static_cast<u8>(map[port / 8] | 1u << (port % 8));
        }
    }
    return of_devices;
}

} // namespace vmm

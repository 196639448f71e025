// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where the rings of a domain's disks are, for who waits until no request is under way any more.

#include "toolstack/base/domid.hpp"
#include "toolstack/device/devices.hpp"
#include "toolstack/store/store_server.hpp"

#include <cstdint>
#include <vector>

namespace vmm
{

// The grants of the first page of each that has a backend, as its frontends have told them.
// [<xen/io/blkif.h>]
[[nodiscard]] std::vector<std::uint32_t> rings_of_disks(Store_server& store, const device::Devices& devices,
                                                        Domid id);

} // namespace vmm

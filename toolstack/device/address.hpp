// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which device: the guest it belongs to, its class as the store spells it ("vbd", "vif"), and its number
// there (a virtual device number for disks, an index for networks). From these three follow the two
// directories through which the frontend and the backend, which is always in dom0, find each other (Xen's
// docs/misc/xenstore-paths, "Paravirtual Device Paths").

#include "toolstack/base/domid.hpp"

#include <string>

namespace vmm::device
{

struct Address {
    Domid domain{};
    std::string type;
    unsigned number = 0;

    [[nodiscard]] std::string frontend_path() const; // "/local/domain/3/device/vbd/51712"
    [[nodiscard]] std::string backend_path() const;  // "/local/domain/0/backend/vbd/3/51712"
    // Where both ends leave a word when something goes wrong [Linux drivers/xen/xenbus/xenbus_client.c].
    [[nodiscard]] std::string backend_error_path() const; // "/local/domain/0/error/backend/vbd/3/51712"
    // The backend as a device of dom0's kernel: a folder of /sys/bus/xen-backend/devices while it exists.
    [[nodiscard]] std::string kernel_name() const; // "vbd-3-51712"

    friend auto operator<=>(const Address&, const Address&) = default;
    friend bool operator==(const Address&, const Address&)  = default;
};

} // namespace vmm::device

// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which device: the guest it belongs to, its class as the store spells it ("vbd", "vif"), and its number
// there (a virtual device number for disks, an index for networks). From these follow the two directories
// through which the frontend and the backend, which is always in dom0, find each other (Xen's
// docs/misc/xenstore-paths, "Paravirtual Device Paths"). Which backend serves it is said here too but is no
// part of what the device is: two addresses that differ only in it are equal.

#include "toolstack/base/domid.hpp"

#include <string>
#include <tuple>

namespace vmm::device
{

struct Address {
    Domid domain{};
    std::string type;
    unsigned number = 0;
    // The directory of backends it is served from, when that is not named as its class: a backend in a
    // program of dom0 looks into one of its own, so that the kernel's does not take its devices.
    std::string backend_type{};

    [[nodiscard]] std::string frontend_path() const; // "/local/domain/3/device/vbd/51712"
    [[nodiscard]] std::string backend_path() const;  // "/local/domain/0/backend/vbd/3/51712"
    // Where both ends leave a word when something goes wrong [Linux drivers/xen/xenbus/xenbus_client.c].
    [[nodiscard]] std::string backend_error_path() const; // "/local/domain/0/error/backend/vbd/3/51712"
    // The backend as a device of dom0's kernel: a folder of /sys/bus/xen-backend/devices while it exists.
    [[nodiscard]] std::string kernel_name() const; // "vbd-3-51712"

    friend auto operator<=>(const Address& a, const Address& b) { return a.identity() <=> b.identity(); }
    friend bool operator==(const Address& a, const Address& b) { return a.identity() == b.identity(); }

  private:
    [[nodiscard]] std::tuple<const Domid&, const std::string&, const unsigned&> identity() const
    {
        return std::tie(domain, type, number);
    }
};

} // namespace vmm::device

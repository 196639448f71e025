// SPDX-License-Identifier: Apache-2.0
#pragma once
// The kernels at both ends of a device, as far as their states in the store go: backends appear in dom0 for
// the nodes written there, and frontends do what their guest is told to do by the test [Linux
// drivers/block/xen-blkback/xenbus.c, frontend_changed()].

#include "toolstack/device/address.hpp"
#include "toolstack/store/store_server.hpp"

#include <set>
#include <string>

namespace vmm::test
{

class Fake_kernel
{
  public:
    explicit Fake_kernel(Store_server& store);
    ~Fake_kernel();
    Fake_kernel(const Fake_kernel&)            = delete;
    Fake_kernel& operator=(const Fake_kernel&) = delete;

    bool has_module    = true;      // off: no backend ever appears
    bool fails         = false;     // the backend goes to Closing with a word about it
    bool never_closes  = false;     // the backend hangs
    bool guest_lets_go = true;      // when it is asked
    std::set<std::string> backends; // paths that the kernel serves

    // The guest's driver starts and connects.
    void guest_connects(const device::Address& address);
    // A guest that had its reasons lets go now.
    void guest_releases(const device::Address& address);

  private:
    void backend_changed(const std::string& path);
    void write(const std::string& path, const std::string& value);
    void close(const std::string& backend);

    Store_server& store_;
    Store_server::Watch_handle backend_watch_{};
    Store_server::Watch_handle frontend_watch_{};
};

} // namespace vmm::test

// SPDX-License-Identifier: Apache-2.0
#pragma once
// The daemon as a whole: opens the hypervisor, the store, the rings and the sockets in the order in which
// they depend on each other, and ties their events together. Ends on SIGTERM or SIGINT; the domains go on and
// a successor takes them up.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/device/devices.hpp"
#include "toolstack/disk/vbd_class.hpp"
#include "toolstack/net/vif_class.hpp"
#include "toolstack/vmmd/control_server.hpp"
#include "toolstack/vmmd/settings.hpp"
#include "toolstack/vmmd/xen_guest_links.hpp"
#include "toolstack/xen/event_pump.hpp"
#include "toolstack/xen/xen_control.hpp"

#include <memory>

namespace vmm
{

class Daemon
{
  public:
    [[nodiscard]] static Result<std::unique_ptr<Daemon>> create(const Settings& settings);
    Daemon(const Daemon&)            = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon();

    [[nodiscard]] Result<void> run() { return loop_->run(); }

  private:
    Daemon() = default;
    Result<void> open_hypervisor();
    Result<void> open_store(const Settings& settings);
    Result<void> open_dom0_store();
    Result<void> open_devices(const Settings& settings);
    Result<void> open_domains(const Settings& settings);
    Result<void> listen(const Settings& settings);
    Result<void> handle_signals();

    // Destroyed from the last to the first: who is used by others comes first.
    std::unique_ptr<Event_loop> loop_;
    std::unique_ptr<Xen_control> control_;
    std::unique_ptr<Event_channel> events_;
    std::unique_ptr<Event_pump> pump_;
    std::unique_ptr<Xen_guest_links> links_;
    std::unique_ptr<Store_server> store_;
    std::unique_ptr<Domain_builder> builder_;
    std::unique_ptr<Domain_maker> maker_;
    disk::Kernel_loop_driver loop_devices_;
    std::unique_ptr<disk::Vbd_class> vbds_;
    std::unique_ptr<net::Vif_class> vifs_;
    std::unique_ptr<device::Devices> devices_;
    std::unique_ptr<Supervisor> supervisor_;
    std::unique_ptr<Worker> worker_;
    std::unique_ptr<Operations> operations_;
    std::unique_ptr<Control_server> server_;
};

} // namespace vmm

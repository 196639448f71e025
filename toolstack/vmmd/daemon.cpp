// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/daemon.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"
#include "toolstack/vmmd/store_rings.hpp"

#include <sys/epoll.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include <xen/xen.h>

namespace vmm
{

namespace
{

// dom0's balloon driver would try to come from what it counts as its memory to what stands as the target: so
// the target is what the driver itself takes for it, where it tells.
std::uint64_t dom0_target_kib(Control& control)
{
    std::ifstream driver("/sys/devices/system/xen_memory/xen_memory0/target_kb");
    std::uint64_t kib = 0;
    if (driver >> kib) {
        return kib;
    }
    const auto info = control.info(kDom0);
    return info ? info->memory_kib : 0;
}

Result<std::shared_ptr<Build_control>> open_another_control() { return TRY(Xen_control::open()); }

} // namespace

Result<std::unique_ptr<Daemon>> Daemon::create(const Settings& settings)
{
    std::unique_ptr<Daemon> daemon(new Daemon);
    daemon->loop_ = TRY(Event_loop::create());
    TRY(daemon->handle_signals()); // before the first thread, which inherits the mask
    TRY(daemon->open_hypervisor());
    TRY(daemon->open_store(settings));
    TRY(daemon->open_domains(settings));
    TRY(daemon->open_dom0_store());
    TRY(daemon->listen(settings));
    return daemon;
}

Daemon::~Daemon()
{
    if (events_) {
        loop_->remove(events_->fd());
    }
}

Result<void> Daemon::handle_signals()
{
    std::signal(SIGPIPE, SIG_IGN);
    return loop_->on_signals({SIGTERM, SIGINT, SIGHUP}, [this](int number) {
        if (number == SIGHUP) {
            if (const auto reopened = log::reopen(); !reopened) {
                log::error(reopened.error().message);
            }
            return;
        }
        log::info("ending on signal " + std::to_string(number) + "; the domains go on");
        loop_->stop();
    });
}

Result<void> Daemon::open_hypervisor()
{
    control_ = TRY(Xen_control::open());
    events_  = TRY(Event_channel::open());
    links_   = std::make_unique<Xen_guest_links>(*events_, TRY(Grant_memory::open()), *control_);
    pump_    = std::make_unique<Event_pump>(*loop_, [this] { return events_->dispatch(); });
    return pump_->start(events_->fd());
}

Result<void> Daemon::open_store(const Settings& settings)
{
    Store_server::Options options;
    options.socket_path = settings.store_socket;
    options.journal     = settings.store_journal;
    store_              = TRY(Store_server::create(*loop_, options));
    return write_dom0_nodes(*store_, dom0_target_kib(*control_));
}

Result<void> Daemon::open_dom0_store()
{
    auto ring = TRY(open_dom0_ring(*links_, [this] { store_->ring_event(kDom0); }));
    return store_->introduce(kDom0, std::move(ring));
}

// What devices leave in files lies beside what domains leave.
Result<void> Daemon::open_devices(const Settings& settings)
{
    const auto folder  = std::filesystem::path(settings.state_file).parent_path();
    const auto gateway = TRY(net::Nat_settings::parse_gateway(settings.nat_address));
    vifs_              = TRY(net::Vif_class::create(*loop_, *store_,
                                                    {settings.nat_bridge, gateway, settings.dnsmasq, folder / "net"}));
    devices_ =
        std::make_unique<device::Devices>(*loop_, *store_, device::Record_file(folder / "devices.json"));
    disk::Disk_setup disks;
    disks.devices_reach_guests = TRY(control_->host()).directio;
    vbds_                      = std::make_unique<disk::Vbd_class>(*loop_, loop_devices_, std::move(disks));
    devices_->add(*vbds_);
    devices_->add(*vifs_);
    return {};
}

Result<void> Daemon::open_domains(const Settings& settings)
{
    Console_logs logs{
        settings.console_log_directory,
        {settings.console_log_kib * 1024, static_cast<unsigned>(settings.console_log_old_files)}};
    if (!logs.directory.empty()) {
        std::error_code error;
        std::filesystem::create_directories(logs.directory, error);
        if (error) {
            log::warning("consoles are not logged: cannot make " + logs.directory + ": " + error.message());
            logs.directory.clear();
        }
    }
    TRY(open_devices(settings));
    builder_    = std::make_unique<Domain_builder>(*control_, *control_);
    maker_      = std::make_unique<Domain_maker>(*loop_, *control_, *links_, *store_, std::move(logs));
    worker_     = TRY(Worker::create(*loop_));
    supervisor_ = std::make_unique<Supervisor>(
        Supervisor::Parts{*loop_, *control_, *builder_, *maker_, *store_, *devices_, *worker_,
                          open_another_control, State_file(settings.state_file)});
    Store_server::Hooks hooks;
    hooks.on_introduce = [this](Domid id, std::uint64_t gfn, std::uint32_t port) {
        return supervisor_->introduce_foreign(id, Gfn{gfn}, Evtchn_port{port});
    };
    hooks.on_release = [this](Domid id) { supervisor_->forget_foreign(id); };
    hooks.on_resume  = [this](Domid id) { supervisor_->resume_foreign(id); };
    store_->set_hooks(std::move(hooks));
    TRY(events_->bind_virq(VIRQ_DOM_EXC, [this] { supervisor_->check_ends(); }));
    return supervisor_->start();
}

Result<void> Daemon::listen(const Settings& settings)
{
    operations_ = std::make_unique<Operations>(*loop_, *control_, *store_, *supervisor_, *devices_);
    server_     = TRY(Control_server::create(*loop_, *operations_, settings.socket));
    return {};
}

} // namespace vmm

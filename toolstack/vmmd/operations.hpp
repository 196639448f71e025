// SPDX-License-Identifier: Apache-2.0
#pragma once
// The operations of the control socket (toolstack/control/README.md): arguments in, result or failure out, by
// way of the supervisor and the hypervisor. It knows nothing of sockets. An operation answers exactly once,
// at once or later; one that answers later can be cancelled until then, because its client has gone.

#include "toolstack/base/event_loop.hpp"
#include "toolstack/control/domain_rows.hpp"
#include "toolstack/control/protocol.hpp"
#include "toolstack/store/store_server.hpp"
#include "toolstack/vmmd/domain_devices.hpp"
#include "toolstack/vmmd/supervisor.hpp"
#include "toolstack/xen/control.hpp"

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vmm
{

using Answer = std::expected<control::Json, control::Failure>;

// What an operation needs of the connection it came over.
struct Client {
    std::function<void(Answer)> answer;
    std::function<bool()> is_there;                             // looks now, not at the next turn of the loop
    std::function<std::vector<Unique_fd>()> take_descriptors{}; // that came with the request; now or never
};

class Operations
{
  public:
    using Cancel = std::function<void()>;

    Operations(Event_loop& loop, Control& control, Store_server& store, Supervisor& supervisor,
               device::Devices& devices)
        : loop_(loop), control_(control), store_(store), supervisor_(supervisor), devices_(devices)
    {
    }

    // The result cancels the operation while it has not answered; empty when it has.
    Cancel perform(const std::string& op, const control::Json& args, Client client);

  private:
    using Json = control::Json;
    struct Target {
        Domid id{};
        Domain* domain = nullptr; // none: dom0 or another tool's
        std::string name;
    };
    using Immediate = Answer (Operations::*)(const Json& args);
    using Later     = Cancel (Operations::*)(const Json& args, Client client);

    std::expected<Target, control::Failure> find(std::string_view id_name_or_uuid);
    std::expected<Target, control::Failure> target(const Json& args);
    std::expected<Target, control::Failure> guest_target(const Json& args); // not dom0
    std::expected<std::vector<Target>, control::Failure> targets(const Json& args);
    std::expected<void, control::Failure> check_stays(std::string_view op, const Json& args);
    std::string name_of(Domid id);
    control::Domain_row row(const Domain_info& info, const Target& target);

    Cancel create(const Json& args, Client client);
    void answer_made(const Client& client, const Result<Domid>& made, const Json& more = Json::object());
    // `more`: what the answer tells beside who the domain is.
    Cancel begin(
        Supervisor::Creation creation, const Client& client,
        const std::function<Json()>& more = [] { return Json::object(); });
    Cancel save(const Json& args, Client client);
    Cancel fork(const Json& args, Client client);
    Cancel restore(const Json& args, Client client);
    Cancel migrate(const Json& args, Client client);
    Cancel receive(const Json& args, Client client);
    Cancel shutdown(const Json& args, Client client);
    Cancel reboot(const Json& args, Client client);
    Cancel sysrq(const Json& args, Client client);
    Cancel wait(const Json& args, Client client);
    Cancel destroy(const Json& args, Client client);
    Cancel ask(const Json& args, Client client, const std::string& node, const std::string& value);

    Cancel device_attach(const Json& args, Client client);
    Cancel device_detach(const Json& args, Client client);
    Cancel device_change(const Json& args, Client client);
    Cancel device_grow(const Json& args, Client client);
    std::expected<Target, control::Failure> device_holder(const Json& args);
    using Config_change = std::function<config::Domain_config(const config::Domain_config& config)>;
    Cancel bring(const Target& holder, const Device_edit& edit, Client client);
    void take(const device::Address& address, bool force, Client client, Config_change change);
    std::uint64_t bytes_of(const device::Address& address);
    static bool is_configured(const Target& holder, const device::Address& address);

    Answer device_list(const Json& args);
    Answer progress(const Json& args);
    Answer migration(const Json& args);
    Answer take_back(const Json& args);
    Answer list(const Json& args);
    Answer console(const Json& args);
    Answer pause(const Json& args);
    Answer unpause(const Json& args);
    Answer rename(const Json& args);
    Answer domid(const Json& args);
    Answer domname(const Json& args);
    Answer mem_set(const Json& args);
    Answer mem_max(const Json& args);
    Answer vcpu_list(const Json& args);
    Answer vcpu_pin(const Json& args);
    Answer vcpu_set(const Json& args);
    Answer sched_list(const Json& args);
    Answer sched_set(const Json& args);
    Answer pool_list(const Json& args);
    Answer pool_create(const Json& args);
    Answer pool_destroy(const Json& args);
    Answer pool_rename(const Json& args);
    Answer pool_cpus(const Json& args);
    Answer pool_move(const Json& args);
    Answer cpu_online(const Json& args);
    Answer info(const Json& args);
    Answer cpu_policy(const Json& args);
    Answer dmesg(const Json& args);
    Answer uptime(const Json& args);

    Event_loop& loop_;
    Control& control_;
    Store_server& store_;
    Supervisor& supervisor_;
    device::Devices& devices_;
};

} // namespace vmm

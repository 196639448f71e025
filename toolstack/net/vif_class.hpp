// SPDX-License-Identifier: Apache-2.0
#pragma once
// Network interfaces of domains as a class of devices: the backend is the netback of dom0's kernel, which
// makes a network device there for each; this class puts it into its bridge, its route or the NAT network,
// and guards what comes out of it. What a script of the administrator's does is the script's business. A
// device's spec is the text of the config.

#include "toolstack/config/vif_config.hpp"
#include "toolstack/device/device_class.hpp"
#include "toolstack/net/copying_ports.hpp"
#include "toolstack/net/hotplug_script.hpp"
#include "toolstack/net/link_events.hpp"
#include "toolstack/net/link_waits.hpp"
#include "toolstack/net/links.hpp"
#include "toolstack/net/nat_network.hpp"
#include "toolstack/net/nftables.hpp"
#include "toolstack/net/ruleset.hpp"
#include "toolstack/store/store_server.hpp"

#include <map>
#include <memory>
#include <string>

namespace vmm::net
{

class Vif_class final : public device::Device_class
{
  public:
    [[nodiscard]] static Result<std::unique_ptr<Vif_class>> create(Event_loop& loop, Store_server& store,
                                                                   Nat_settings nat);
    ~Vif_class() override;

    [[nodiscard]] std::string_view type() const override { return "vif"; }
    [[nodiscard]] std::string describe(const device::Json& spec) const override;
    void prepare(device::Task task, std::function<void(Result<device::Prepared>)> done) override;
    void connect(const device::Address& address, device::Done done) override;
    void release(const device::Address& address, std::function<void()> done) override;
    [[nodiscard]] Result<void> adopt(device::Task task, const device::Json& record) override;

    // The name of its end in dom0, and its address on the NAT network, for those who list it.
    [[nodiscard]] std::string device_name(const device::Address& address) const;
    [[nodiscard]] std::vector<config::Ip_network> addresses(const device::Address& address) const;

  private:
    struct Interface {
        config::Vif_config config;
        std::vector<config::Ip_network> ips; // as configured, or the one given out
        bool is_connected = false;
    };
    Vif_class(Event_loop& loop, Store_server& store, Nat_settings nat, std::unique_ptr<Links> links,
              Nftables filter);

    Result<Interface> take(const device::Address& address, const config::Vif_config& config);
    Result<void> check_mac(const device::Address& address, const config::Vif_config& config) const;
    Result<void> check_bridge(const std::string& bridge);
    Result<std::optional<config::Ip_network>> gateway_address(const config::Vif_config& config, bool v6);
    void connect_now(const device::Address& address, device::Done done);
    void await_end(const std::string& name, std::function<void()> done);
    Result<void> set_up(const device::Address& address, const Interface& interface);
    Result<void> set_up_port(const Interface& interface, const std::string& name);
    Result<void> set_up_route(const Interface& interface, const std::string& name);
    device::Prepared nodes_of(const device::Address& address, const Interface& interface) const;
    // The name that the kernel gives its device.
    static std::string key_of(const device::Address& address);
    bool is_own(const std::string& device) const;
    [[nodiscard]] const std::string& bridge_of(const Interface& interface) const; // empty: none
    Result<void> guard_ports();
    Result<void> apply_rules();
    void update_soon();

    Event_loop& loop_;
    Store_server& store_;
    std::unique_ptr<Links> links_;
    Nftables filter_;
    Nat_network nat_;
    Copying_ports ports_;
    Link_waits waits_;
    Hotplug_scripts scripts_;
    std::unique_ptr<Link_events> link_events_;
    std::map<device::Address, Interface> interfaces_;
    std::optional<Event_loop::Timer_id> update_due_;
};

} // namespace vmm::net

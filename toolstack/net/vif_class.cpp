// SPDX-License-Identifier: Apache-2.0
// How an interface comes and goes. vif_links.cpp has what is done with its device.
#include "toolstack/net/vif_class.hpp"

#include "toolstack/base/log.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace vmm::net
{

namespace
{

using Link_kind = config::Vif_config::Link;
using device::Address;
using device::Json;

Result<config::Vif_config> from_spec(const Json& spec)
{
    if (!spec.is_string()) {
        return fail(Errc::invalid, "an interface is a text such as \"bridge=br0\"");
    }
    auto vif = config::parse_vif(spec.get<std::string>());
    if (!vif) {
        return fail(Errc::invalid, vif.error().message);
    }
    return *std::move(vif);
}

std::string joined(const std::vector<config::Ip_network>& ips)
{
    std::string text;
    for (const auto& ip : ips) {
        text += (text.empty() ? "" : " ") + ip.to_string();
    }
    return text;
}

std::string script_of(const config::Vif_config& config)
{
    switch (config.link) {
    case Link_kind::nat: return "nat";
    case Link_kind::bridge: return "bridge";
    case Link_kind::route: return "route";
    case Link_kind::script: break;
    }
    return config.script;
}

} // namespace

Result<std::unique_ptr<Vif_class>> Vif_class::create(Event_loop& loop, Store_server& store, Nat_settings nat)
{
    auto links  = TRY(Links::open());
    auto filter = TRY(Nftables::open());
    std::unique_ptr<Vif_class> vifs(
        new Vif_class(loop, store, std::move(nat), std::move(links), std::move(filter)));
    vifs->link_events_ = TRY(Link_events::open(loop, [vifs = vifs.get()] {
        vifs->waits_.look();
        if (const auto guarded = vifs->guard_ports(); !guarded) {
            log::error(guarded.error().message);
        }
    }));
    return vifs;
}

Vif_class::Vif_class(Event_loop& loop, Store_server& store, Nat_settings nat, std::unique_ptr<Links> links,
                     Nftables filter)
    : loop_(loop), store_(store), links_(std::move(links)), filter_(std::move(filter)),
      nat_(loop, *links_, std::move(nat)),
      ports_(*links_, [this](const std::string& device) { return is_own(device); }), waits_(loop, *links_),
      scripts_(loop)
{
}

Vif_class::~Vif_class()
{
    if (update_due_) {
        loop_.cancel(*update_due_);
    }
}

std::string Vif_class::describe(const Json& spec) const
{
    const auto vif = from_spec(spec);
    return vif && vif->devid ? "network interface " + std::to_string(*vif->devid) : "network interface";
}

std::string Vif_class::key_of(const Address& address)
{
    return "vif" + to_string(address.domain) + "." + std::to_string(address.number);
}

std::string Vif_class::device_name(const Address& address) const
{
    const auto found = interfaces_.find(address);
    return found == interfaces_.end() || found->second.config.vifname.empty() ? key_of(address)
                                                                              : found->second.config.vifname;
}

std::vector<config::Ip_network> Vif_class::addresses(const Address& address) const
{
    const auto found = interfaces_.find(address);
    return found == interfaces_.end() ? std::vector<config::Ip_network>{} : found->second.ips;
}

Result<void> Vif_class::check_mac(const Address& address, const config::Vif_config& config) const
{
    for (const auto& [other, interface] : interfaces_) {
        if (other != address && interface.config.mac == config.mac && interface.config.link == config.link &&
            interface.config.bridge == config.bridge) {
            return fail(Errc::exists, "mac " + config.mac->to_string() +
                                          " is in use on the same network by " + key_of(other) +
                                          ": give this interface another");
        }
    }
    return {};
}

bool Vif_class::is_own(const std::string& device) const
{
    return std::ranges::any_of(interfaces_,
                               [&](const auto& entry) { return device_name(entry.first) == device; });
}

const std::string& Vif_class::bridge_of(const Interface& interface) const
{
    return interface.config.link == Link_kind::nat ? nat_.settings().bridge : interface.config.bridge;
}

// Everything that can be known or taken before there is a device.
Result<Vif_class::Interface> Vif_class::take(const Address& address, const config::Vif_config& config)
{
    Interface interface {
        config, config.ips, false
    };
    TRY(check_mac(address, config));
    switch (config.link) {
    case Link_kind::nat: {
        const auto name = store_.read("/local/domain/" + to_string(address.domain) + "/name");
        if (config.ips.size() > 1) {
            return fail(Errc::invalid, "ip: an interface has one address on the NAT network");
        }
        interface.ips = {TRY(nat_.join(key_of(address), *config.mac, name.value_or(""),
                                       config.ips.empty() ? std::nullopt : std::optional(config.ips[0])))};
        break;
    }
    case Link_kind::bridge: TRY(check_bridge(config.bridge)); break;
    case Link_kind::route:
        if (!config.gatewaydev.empty() && !TRY(gateway_address(config, false)) &&
            !TRY(gateway_address(config, true))) {
            return fail(Errc::not_found, "gatewaydev: " + config.gatewaydev +
                                             " has no address that the domain could reach it by");
        }
        break;
    case Link_kind::script:
        if (::access(config.script.c_str(), X_OK) != 0) {
            return fail_errno("cannot run script " + config.script);
        }
        break;
    }
    return interface;
}

// As libxl writes them: scripts read them, and the kernel wants handle, mac, script and rate
// [Linux drivers/net/xen-netback/xenbus.c].
device::Prepared Vif_class::nodes_of(const Address& address, const Interface& interface) const
{
    const auto& config = interface.config;
    device::Prepared nodes;
    nodes.frontend = {{"handle", std::to_string(address.number)}, {"mac", config.mac->to_string()}};
    nodes.backend  = {{"handle", std::to_string(address.number)},
                      {"mac", config.mac->to_string()},
                      {"script", script_of(config)},
                      {"type", "vif"},
                      {"bridge", bridge_of(interface)},
                      {"ip", joined(interface.ips)},
                      {"gatewaydev", config.gatewaydev},
                      {"vifname", config.vifname}};
    if (config.rate) {
        nodes.backend.emplace_back("rate", std::to_string(config.rate->bytes_per_interval()) + "," +
                                               std::to_string(config.rate->interval_us));
    }
    if (config.mtu) {
        nodes.frontend.emplace_back("mtu", std::to_string(*config.mtu));
        nodes.backend.emplace_back("mtu", std::to_string(*config.mtu));
    }
    std::erase_if(nodes.backend, [](const auto& node) { return node.second.empty(); });
    return nodes;
}

void Vif_class::prepare(device::Task task, std::function<void(Result<device::Prepared>)> done)
{
    const auto config = from_spec(task.spec);
    if (!config) {
        done(std::unexpected(config.error()));
        return;
    }
    auto interface = take(task.address, *config);
    if (!interface) {
        done(std::unexpected(interface.error()));
        return;
    }
    const auto nodes = nodes_of(task.address, *interface);
    if (config->link == Link_kind::nat) {
        task.note(Json{{"ip", joined(interface->ips)}});
    }
    interfaces_[task.address] = std::move(*interface);
    done(nodes);
}

// The backend is in InitWait a moment before its device is there.
void Vif_class::connect(const Address& address, device::Done done)
{
    waits_.wait(key_of(address), Link_waits::For::device,
                [this, address, done = std::move(done)](const Result<void>& there) mutable {
                    if (!there) {
                        done(there);
                        return;
                    }
                    connect_now(address, std::move(done));
                });
}

void Vif_class::connect_now(const Address& address, device::Done done)
{
    Interface& interface   = interfaces_.at(address);
    interface.is_connected = true;
    const auto ready       = set_up(address, interface);
    if (!ready || interface.config.link != Link_kind::script) {
        done(ready);
        return;
    }
    scripts_.run({interface.config.script, "online", device_name(address), address.backend_path()},
                 std::move(done));
}

void Vif_class::release(const Address& address, std::function<void()> done)
{
    const std::string name = device_name(address);
    const auto node        = interfaces_.extract(address);
    if (node.empty()) {
        done();
        return;
    }
    const Interface& interface = node.mapped();
    nat_.leave(key_of(address));
    update_soon();
    if (!interface.is_connected) {
        done();
    } else if (interface.config.link == Link_kind::script) {
        scripts_.run({interface.config.script, "offline", name, address.backend_path()},
                     [this, name, done = std::move(done)](const Result<void>& result) {
                         if (!result) {
                             log::warning(result.error().message);
                         }
                         await_end(name, done);
                     });
    } else {
        await_end(name, std::move(done));
    }
}

// The kernel takes the device away a moment after the backend has gone, and its routes with it.
void Vif_class::await_end(const std::string& name, std::function<void()> done)
{
    waits_.wait(name, Link_waits::For::its_end, [done = std::move(done)](const Result<void>& gone) {
        if (!gone) {
            log::warning(gone.error().message);
        }
        done();
    });
}

Result<void> Vif_class::adopt(device::Task task, const Json& record)
{
    auto config = TRY(from_spec(task.spec));
    Interface interface {
        config, config.ips, true
    };
    if (config.link == Link_kind::nat && record.is_object() && record.contains("ip")) {
        // The address it was given must stay what the domain thinks it is.
        const auto ip = config::Ip_network::parse(record.at("ip").get<std::string>());
        if (!ip) {
            return fail(Errc::invalid, ip.error());
        }
        config.ips = {*ip};
    }
    const bool is_script      = config.link == Link_kind::script;
    interface.ips             = is_script ? config.ips : TRY(take(task.address, config)).ips;
    interfaces_[task.address] = std::move(interface);
    update_soon();
    return {};
}

} // namespace vmm::net

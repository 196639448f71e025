// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/vif_class.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/net/sysctl.hpp"

#include <unistd.h>

#include <algorithm>
#include <set>
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

constexpr auto kDevice_limit = std::chrono::seconds(10);

std::string key_of(const Address& address)
{
    return "vif" + to_string(address.domain) + "." + std::to_string(address.number);
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
        vifs->connect_waiting();
        vifs->end_leaving();
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
      ports_(*links_, [this](const std::string& device) { return is_own(device); }), scripts_(loop)
{
}

Vif_class::~Vif_class()
{
    if (update_due_) {
        loop_.cancel(*update_due_);
    }
    for (const auto& [address, waiting] : waiting_) {
        loop_.cancel(waiting.limit);
    }
    for (const auto& [name, leaving] : leaving_) {
        loop_.cancel(leaving.limit);
    }
}

Json Vif_class::to_spec(const config::Vif_config& vif) { return config::to_string(vif); }

std::string Vif_class::describe(const Json& spec) const
{
    const auto vif = from_spec(spec);
    return vif && vif->devid ? "network interface " + std::to_string(*vif->devid) : "network interface";
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

Result<void> Vif_class::check_bridge(const std::string& bridge)
{
    const auto link = TRY(links_->find(bridge));
    if (!link || !link->is_bridge) {
        return fail(Errc::not_found, (link ? bridge + " is no bridge" : "there is no bridge " + bridge) +
                                         " in Domain-0: make it (ip link add " + bridge +
                                         " type bridge), or leave bridge out for the NAT network");
    }
    return {};
}

// What the domain sees at the other end of a routed link.
Result<std::optional<config::Ip_network>> Vif_class::gateway_address(const config::Vif_config& config,
                                                                     bool v6)
{
    if (config.gatewaydev.empty()) {
        return std::nullopt;
    }
    for (const auto& address : TRY(links_->addresses(config.gatewaydev))) {
        const bool is_link_local = v6 && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
        if (address.is_v6 == v6 && !is_link_local) {
            return address.host();
        }
    }
    return std::nullopt;
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

Result<void> Vif_class::guard_ports()
{
    std::set<std::string> bridges;
    for (const auto& [address, interface] : interfaces_) {
        if (interface.is_connected && !bridge_of(interface).empty()) {
            bridges.insert(bridge_of(interface));
        }
    }
    return ports_.guard(bridges);
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

Result<void> Vif_class::set_up_port(const Interface& interface, const std::string& name)
{
    const std::string& bridge = bridge_of(interface);
    if (!interface.config.mtu) {
        TRY(links_->set_mtu(name, TRY(links_->get(bridge)).mtu));
    }
    // dom0 speaks to the domain through the bridge, never through the port itself.
    if (const auto off = set_sysctl("ipv6/conf/" + name + "/disable_ipv6", "1"); !off) {
        log::debug(off.error().message); // a kernel without IPv6
    }
    TRY(guard_ports()); // before the first packet
    return links_->put_into(name, bridge);
}

Result<void> Vif_class::set_up_route(const Interface& interface, const std::string& name)
{
    TRY(links_->set_up(name)); // routes need it so
    TRY(set_sysctl("ipv4/ip_forward", "1"));
    // The domain takes its whole network to be on this link: dom0 answers for all who are elsewhere.
    TRY(set_sysctl("ipv4/conf/" + name + "/proxy_arp", "1"));
    for (const bool v6 : {false, true}) {
        const auto gateway = TRY(gateway_address(interface.config, v6));
        if (gateway) {
            TRY(links_->add_address(name, *gateway));
        }
        for (const auto& ip : interface.ips) {
            if (ip.is_v6 == v6) {
                TRY(links_->add_route(ip, name, gateway));
            }
        }
    }
    return {};
}

Result<void> Vif_class::set_up(const Address& address, const Interface& interface)
{
    const auto& config     = interface.config;
    const std::string name = device_name(address);
    if (name != key_of(address)) {
        TRY(links_->rename(key_of(address), name));
    }
    if (config.mtu) {
        TRY(links_->set_mtu(name, *config.mtu));
    }
    switch (config.link) {
    case Link_kind::nat:
    case Link_kind::bridge: TRY(set_up_port(interface, name)); break;
    case Link_kind::route: TRY(set_up_route(interface, name)); break;
    case Link_kind::script: return {};
    }
    TRY(apply_rules()); // before anything of the domain's can come through
    return links_->set_up(name);
}

// The backend is in InitWait a moment before its device is there.
void Vif_class::connect(const Address& address, device::Done done)
{
    const std::string device = key_of(address);
    const auto link          = links_->find(device);
    if (!link) {
        done(std::unexpected(link.error()));
        return;
    }
    if (*link) {
        connect_now(address, std::move(done));
        return;
    }
    const auto limit  = loop_.after(kDevice_limit, [this, address, device] {
        const auto node = waiting_.extract(address);
        node.mapped().done(fail(Errc::timed_out, "dom0's kernel has made no network device " + device +
                                                      ": what it says about that is in its log (dmesg)"));
    });
    waiting_[address] = {std::move(done), limit};
}

void Vif_class::connect_waiting()
{
    std::vector<Address> ready;
    for (const auto& [address, waiting] : waiting_) {
        if (const auto link = links_->find(key_of(address)); link && *link) {
            ready.push_back(address);
        }
    }
    for (const Address& address : ready) {
        auto node = waiting_.extract(address);
        loop_.cancel(node.mapped().limit);
        connect_now(address, std::move(node.mapped().done));
    }
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
    const auto link = links_->find(name);
    if (!link || !*link) {
        done();
        return;
    }
    const auto limit = loop_.after(kDevice_limit, [this, name] {
        log::warning("dom0's kernel keeps network device " + name + " though its backend has gone");
        leaving_.extract(name).mapped().done();
    });
    leaving_[name]   = {std::move(done), limit};
}

void Vif_class::end_leaving()
{
    std::vector<std::string> gone;
    for (const auto& [name, leaving] : leaving_) {
        if (const auto link = links_->find(name); link && !*link) {
            gone.push_back(name);
        }
    }
    for (const std::string& name : gone) {
        const auto node = leaving_.extract(name);
        loop_.cancel(node.mapped().limit);
        node.mapped().done();
    }
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

Result<void> Vif_class::apply_rules()
{
    Rules rules;
    if (nat_.is_up()) {
        rules.nat = Nat_rules{nat_.settings().bridge, nat_.settings().gateway};
    }
    for (const auto& [address, interface] : interfaces_) {
        const auto link = interface.config.link;
        if (interface.is_connected && link != Link_kind::script && !interface.ips.empty()) {
            rules.guards.push_back(
                {device_name(address), link != Link_kind::route, *interface.config.mac, interface.ips});
        }
    }
    const auto applied = filter_.apply(to_nft(rules));
    if (!applied && !rules.nat && rules.guards.empty()) {
        log::debug(applied.error().message); // nothing is wanted of a kernel that perhaps has no filter
        return {};
    }
    return applied;
}

// Once for all that change in one turn of the loop.
void Vif_class::update_soon()
{
    if (update_due_) {
        return;
    }
    update_due_ = loop_.after(std::chrono::seconds(0), [this] {
        update_due_.reset();
        for (const auto& result : {apply_rules(), guard_ports()}) {
            if (!result) {
                log::error(result.error().message);
            }
        }
    });
}

} // namespace vmm::net

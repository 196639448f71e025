// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/links.hpp"

#include <net/if.h>

#include <netlink/addr.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/route.h>

#include <cstring>
#include <utility>

namespace vmm::net
{

namespace
{

// An object of libnl that is let go by a function of its own.
template <class Object, void (*Free)(Object*)>
struct Freeing {
    void operator()(Object* object) const { Free(object); }
};
using Link_object    = std::unique_ptr<rtnl_link, Freeing<rtnl_link, rtnl_link_put>>;
using Address_object = std::unique_ptr<rtnl_addr, Freeing<rtnl_addr, rtnl_addr_put>>;
using Route_object   = std::unique_ptr<rtnl_route, Freeing<rtnl_route, rtnl_route_put>>;
using Bytes_object   = std::unique_ptr<nl_addr, Freeing<nl_addr, nl_addr_put>>;
using Cache          = std::unique_ptr<nl_cache, Freeing<nl_cache, nl_cache_free>>;

Errc code_of(int error)
{
    switch (-error) {
    case NLE_NODEV:
    case NLE_OBJ_NOTFOUND: return Errc::not_found;
    case NLE_EXIST: return Errc::exists;
    case NLE_BUSY: return Errc::busy;
    case NLE_PERM:
    case NLE_NOACCESS: return Errc::not_permitted;
    case NLE_OPNOTSUPP: return Errc::unsupported;
    default: return Errc::io;
    }
}

std::unexpected<Error> failed(const std::string& what, int error)
{
    return fail(code_of(error), what + ": " + nl_geterror(error));
}

Result<void> checked(const std::string& what, int error)
{
    if (error < 0) {
        return failed(what, error);
    }
    return {};
}

Link describe(rtnl_link* link)
{
    const char* kind = rtnl_link_get_type(link);
    return {rtnl_link_get_ifindex(link),
            rtnl_link_get_name(link),
            kind != nullptr && std::strcmp(kind, "bridge") == 0,
            (rtnl_link_get_flags(link) & IFF_UP) != 0,
            rtnl_link_get_mtu(link),
            rtnl_link_get_master(link)};
}

Bytes_object to_object(const config::Ip_network& address)
{
    Bytes_object object(
        nl_addr_build(address.is_v6 ? AF_INET6 : AF_INET, address.bytes.data(), address.bits() / 8));
    if (object) {
        nl_addr_set_prefixlen(object.get(), static_cast<int>(address.prefix));
    }
    return object;
}

std::unexpected<Error> no_memory() { return fail(Errc::out_of_memory, "out of memory"); }

} // namespace

Result<std::unique_ptr<Links>> Links::open()
{
    nl_sock* const socket = nl_socket_alloc();
    if (socket == nullptr) {
        return no_memory();
    }
    std::unique_ptr<Links> links(new Links(socket));
    TRY(checked("cannot open rtnetlink", nl_connect(socket, NETLINK_ROUTE)));
    return links;
}

Links::~Links() { nl_socket_free(socket_); }

Result<std::optional<Link>> Links::find(const std::string& name)
{
    rtnl_link* found = nullptr;
    const int error  = rtnl_link_get_kernel(socket_, 0, name.c_str(), &found);
    const Link_object owner(found);
    if (error < 0) {
        const auto code = code_of(error);
        if (code == Errc::not_found) {
            return std::nullopt;
        }
        return failed("cannot look at network device " + name, error);
    }
    return describe(found);
}

Result<Link> Links::get(const std::string& name)
{
    const auto link = TRY(find(name));
    if (!link) {
        return fail(Errc::not_found, "there is no network device " + name);
    }
    return *link;
}

Result<std::vector<Link>> Links::list()
{
    nl_cache* found = nullptr;
    const int error = rtnl_link_alloc_cache(socket_, AF_UNSPEC, &found);
    if (error < 0) {
        return failed("cannot list network devices", error);
    }
    const Cache cache(found);
    std::vector<Link> links;
    for (nl_object* object = nl_cache_get_first(found); object != nullptr;
         object            = nl_cache_get_next(object)) {
        links.push_back(describe(reinterpret_cast<rtnl_link*>(object)));
    }
    return links;
}

Result<void> Links::make_bridge(const std::string& name, const config::Mac_address& mac)
{
    const Link_object bridge(rtnl_link_bridge_alloc());
    const Bytes_object bytes(nl_addr_build(AF_LLC, mac.bytes.data(), mac.bytes.size()));
    if (!bridge || !bytes) {
        return no_memory();
    }
    rtnl_link_set_name(bridge.get(), name.c_str());
    rtnl_link_set_addr(bridge.get(), bytes.get());
    // A new bridge has no spanning tree; with that off, the kernel forwards at once whatever its delay says.
    return checked("cannot make bridge " + name,
                   rtnl_link_add(socket_, bridge.get(), NLM_F_CREATE | NLM_F_EXCL));
}

Result<void> Links::remove(const std::string& name)
{
    const auto link = TRY(find(name));
    if (!link) {
        return {};
    }
    const Link_object object(rtnl_link_alloc());
    if (!object) {
        return no_memory();
    }
    rtnl_link_set_ifindex(object.get(), link->index);
    return checked("cannot remove network device " + name, rtnl_link_delete(socket_, object.get()));
}

Result<void> Links::change(const std::string& name, const std::string& what, void (*set)(void*, const void*),
                           const void* value)
{
    const Link link = TRY(get(name));
    const Link_object before(rtnl_link_alloc());
    const Link_object after(rtnl_link_alloc());
    if (!before || !after) {
        return no_memory();
    }
    rtnl_link_set_ifindex(before.get(), link.index);
    set(after.get(), value);
    return checked("cannot " + what, rtnl_link_change(socket_, before.get(), after.get(), 0));
}

Result<void> Links::set_up(const std::string& name)
{
    return change(
        name, "start network device " + name,
        [](void* link, const void*) { rtnl_link_set_flags(static_cast<rtnl_link*>(link), IFF_UP); }, nullptr);
}

Result<void> Links::set_mtu(const std::string& name, unsigned mtu)
{
    return change(
        name, "set the mtu of " + name + " to " + std::to_string(mtu),
        [](void* link, const void* value) {
            rtnl_link_set_mtu(static_cast<rtnl_link*>(link), *static_cast<const unsigned*>(value));
        },
        &mtu);
}

Result<void> Links::rename(const std::string& name, const std::string& to)
{
    return change(
        name, "rename " + name + " to " + to,
        [](void* link, const void* value) {
            rtnl_link_set_name(static_cast<rtnl_link*>(link), static_cast<const char*>(value));
        },
        to.c_str());
}

Result<void> Links::put_into(const std::string& name, const std::string& bridge)
{
    const Link port   = TRY(get(name));
    const Link master = TRY(get(bridge));
    return checked("cannot make " + name + " a port of bridge " + bridge,
                   rtnl_link_enslave_ifindex(socket_, master.index, port.index));
}

Result<std::vector<config::Ip_network>> Links::addresses(const std::string& name)
{
    const Link link = TRY(get(name));
    nl_cache* found = nullptr;
    const int error = rtnl_addr_alloc_cache(socket_, &found);
    if (error < 0) {
        return failed("cannot list the addresses of " + name, error);
    }
    const Cache cache(found);
    std::vector<config::Ip_network> result;
    for (nl_object* object = nl_cache_get_first(found); object != nullptr;
         object            = nl_cache_get_next(object)) {
        auto* const address  = reinterpret_cast<rtnl_addr*>(object);
        nl_addr* const local = rtnl_addr_get_local(address);
        if (rtnl_addr_get_ifindex(address) != link.index || local == nullptr) {
            continue;
        }
        config::Ip_network one;
        one.is_v6  = nl_addr_get_family(local) == AF_INET6;
        one.prefix = static_cast<unsigned>(rtnl_addr_get_prefixlen(address));
        if (nl_addr_get_len(local) > one.bytes.size()) {
            continue;
        }
        std::memcpy(one.bytes.data(), nl_addr_get_binary_addr(local), nl_addr_get_len(local));
        result.push_back(one);
    }
    return result;
}

Result<void> Links::add_address(const std::string& name, const config::Ip_network& address)
{
    const Link link = TRY(get(name));
    const Address_object object(rtnl_addr_alloc());
    const Bytes_object bytes = to_object(address);
    if (!object || !bytes) {
        return no_memory();
    }
    rtnl_addr_set_ifindex(object.get(), link.index);
    rtnl_addr_set_local(object.get(), bytes.get());
    const int error = rtnl_addr_add(socket_, object.get(), 0);
    if (code_of(error) == Errc::exists) {
        return {};
    }
    return checked("cannot give " + name + " the address " + address.to_string(), error);
}

Result<void> Links::add_route(const config::Ip_network& to, const std::string& name,
                              const std::optional<config::Ip_network>& source)
{
    const Link link = TRY(get(name));
    const Route_object route(rtnl_route_alloc());
    const Bytes_object destination = to_object(to.network());
    rtnl_nexthop* const hop        = rtnl_route_nh_alloc();
    if (!route || !destination || hop == nullptr) {
        rtnl_route_nh_free(hop);
        return no_memory();
    }
    rtnl_route_nh_set_ifindex(hop, link.index);
    rtnl_route_add_nexthop(route.get(), hop); // which owns it from here
    rtnl_route_set_family(route.get(), to.is_v6 ? AF_INET6 : AF_INET);
    rtnl_route_set_scope(route.get(), RT_SCOPE_LINK);
    rtnl_route_set_dst(route.get(), destination.get());
    if (source) {
        const Bytes_object preferred = to_object(source->host());
        rtnl_route_set_pref_src(route.get(), preferred.get());
    }
    const int error = rtnl_route_add(socket_, route.get(), NLM_F_CREATE);
    if (code_of(error) == Errc::exists) {
        return {};
    }
    return checked("cannot route " + to.to_string() + " to " + name, error);
}

} // namespace vmm::net

// SPDX-License-Identifier: Apache-2.0
#pragma once
// The network devices of dom0, over rtnetlink (Debian's libnl). Each call is one or two exchanges with the
// kernel, done when it returns. Names are at most 15 characters. Nothing is remembered here: the kernel is
// asked each time.

#include "toolstack/base/error.hpp"
#include "toolstack/config/ip_network.hpp"
#include "toolstack/config/mac_address.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

struct nl_sock;

namespace vmm::net
{

struct Link {
    int index = 0;
    std::string name;
    bool is_bridge = false;
    bool is_up     = false;
    unsigned mtu   = 0;
    int bridge     = 0; // the index of the bridge it is a port of; 0: none
};

class Links
{
  public:
    [[nodiscard]] static Result<std::unique_ptr<Links>> open();
    Links(const Links&)            = delete;
    Links& operator=(const Links&) = delete;
    ~Links();

    [[nodiscard]] Result<std::optional<Link>> find(const std::string& name);
    [[nodiscard]] Result<Link> get(const std::string& name); // absent is an error that says so
    [[nodiscard]] Result<std::vector<Link>> list();

    // Without spanning tree and without a delay before it forwards.
    [[nodiscard]] Result<void> make_bridge(const std::string& name, const config::Mac_address& mac);
    [[nodiscard]] Result<void> remove(const std::string& name); // absent is fine

    [[nodiscard]] Result<void> set_up(const std::string& name);
    [[nodiscard]] Result<void> set_mtu(const std::string& name, unsigned mtu);
    [[nodiscard]] Result<void> rename(const std::string& name, const std::string& to); // while it is down
    [[nodiscard]] Result<void> put_into(const std::string& name, const std::string& bridge);

    [[nodiscard]] Result<std::vector<config::Ip_network>> addresses(const std::string& name);
    [[nodiscard]] Result<void> add_address(const std::string& name, const config::Ip_network& address);
    // To hosts or networks directly behind a device; there already is fine.
    [[nodiscard]] Result<void> add_route(const config::Ip_network& to, const std::string& name,
                                         const std::optional<config::Ip_network>& source);

  private:
    explicit Links(nl_sock* socket) : socket_(socket) {}
    Result<void> change(const std::string& name, const std::string& what, void (*set)(void*, const void*),
                        const void* value);

    nl_sock* socket_;
};

} // namespace vmm::net

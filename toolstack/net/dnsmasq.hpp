// SPDX-License-Identifier: Apache-2.0
#pragma once
// Debian's dnsmasq as the DHCP and DNS server of the NAT network: its files, and the process, which is
// started again when it ends and ends with vmmd. It keeps no leases of its own; every address it gives is
// written down by Leases. Domains keep their addresses while it is away.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/config/ip_network.hpp"
#include "toolstack/net/leases.hpp"

#include <sys/types.h>

#include <optional>
#include <string>

namespace vmm::net
{

class Dnsmasq
{
  public:
    struct Setup {
        std::string program;   // its path
        std::string directory; // for its files
        std::string bridge;
        config::Ip_network gateway; // dom0's address on the bridge
    };

    Dnsmasq(Event_loop& loop, Setup setup) : loop_(loop), setup_(std::move(setup)) {}
    Dnsmasq(const Dnsmasq&)            = delete;
    Dnsmasq& operator=(const Dnsmasq&) = delete;
    ~Dnsmasq();

    // Serves these leases from now on, and none it served before.
    [[nodiscard]] Result<void> serve(const Leases& leases);

    [[nodiscard]] std::optional<pid_t> process() const { return process_; }
    [[nodiscard]] std::string configuration() const;

  private:
    Result<void> launch();
    void launch_again();
    void launch_later();
    void ended(int wait_status);

    Event_loop& loop_;
    Setup setup_;
    std::optional<pid_t> process_;
    std::optional<Event_loop::Timer_id> restart_;
    bool ending_on_purpose_ = false;
    unsigned quick_ends_    = 0; // and failed launches, in a row
    Event_loop::Clock::time_point launched_{};
};

} // namespace vmm::net

// SPDX-License-Identifier: Apache-2.0
#pragma once
// A network namespace of the test's own, so that real devices and rules can be made and nothing of the
// machine is touched. It stays until the process ends. Where none may be made (no root) the test program ends
// as skipped.

#include "toolstack/base/event_loop.hpp"

#include <functional>
#include <string>

namespace vmm::test
{

// What opens sockets of the network must be made after it.
struct Network_sandbox {
    Network_sandbox();
};

// A pair of devices that are each other's wire: what a netback and a netfront are to dom0 and its guest.
void make_wire(const std::string& end, const std::string& other_end);

// A frame of IPv4, UDP from port 1 to port 2, sent from a device; both addresses as text.
void send_udp(const std::string& device, const std::string& source_mac, const std::string& source_ip,
              const std::string& payload);

// Frames that arrive at a device and hold this text.
class Listener
{
  public:
    explicit Listener(const std::string& device);
    [[nodiscard]] bool hears(const std::string& payload); // within a second
    [[nodiscard]] bool heard_already(const std::string& payload);

  private:
    bool look(const std::string& payload, int milliseconds);
    int socket_;
    std::string heard_;
};

std::string file_text(const std::string& path);
void run_until(Event_loop& loop, const std::function<bool()>& done);

} // namespace vmm::test

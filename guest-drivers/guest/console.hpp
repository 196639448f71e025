// SPDX-License-Identifier: Apache-2.0
//
// The frontend of a domU's console: the ring and the port that the toolstack left in the HVM parameters.
// Needs events to be set up. Writing waits for room; reading does not wait.
#pragma once

#include "guest/types.hpp"

#include <xen/event_channel.h>
#include <xen/io/console.h>
#include <xen/xen.h>

#include <string_view>

namespace vmm::guest
{

class Console
{
  public:
    // False when the toolstack gave none.
    bool open();
    void write(std::string_view text);
    // Bytes read; 0 when nobody typed anything.
    u32 read(char* to, u32 count);
    [[nodiscard]] bool readable() const;

  private:
    xencons_interface* ring_ = nullptr;
    evtchn_port_t port_      = 0;
};

} // namespace vmm::guest

// SPDX-License-Identifier: Apache-2.0
//
// A client of the store over a domU's ring: one request at a time, waited for. Paths without a leading
// slash are relative to the domain's own directory. Needs events to be set up.
// [xen/include/public/io/xs_wire.h]
#pragma once

#include "guest/byte_ring.hpp"
#include "guest/types.hpp"

#include <xen/event_channel.h>
#include <xen/io/xs_wire.h>
#include <xen/xen.h>

#include <string_view>

namespace vmm::guest
{

class Store
{
  public:
    // The answer's payload; `error` holds the store's word (ENOENT...) when it refused.
    struct Answer {
        std::string_view text;
        std::string_view error;
        [[nodiscard]] bool ok() const { return error.empty(); }
    };

    // False when the toolstack gave no ring.
    bool open();
    Answer read(std::string_view path);
    Answer write(std::string_view path, std::string_view value);
    Answer list(std::string_view path); // names, each ended by a zero byte
    Answer remove(std::string_view path);
    // From now on next_event() tells of changes at and below the path.
    Answer watch(std::string_view path, std::string_view token);
    // Waits for a watch event: "path\0token\0".
    std::string_view next_event();

  private:
    struct Piece {
        std::string_view text;
        bool terminated;
    };
    Answer request(u32 type, Piece first, Piece second = {});
    void put(const void* bytes, u32 count);
    void get(void* to, u32 count);
    xsd_sockmsg receive();

    xenstore_domain_interface* ring_ = nullptr;
    evtchn_port_t port_              = 0;
    u32 request_id_                  = 0;
    u32 event_length_                = 0; // a watch event that came while an answer was waited for
    char payload_[XENSTORE_PAYLOAD_MAX];
    char event_[XENSTORE_PAYLOAD_MAX];
};

} // namespace vmm::guest

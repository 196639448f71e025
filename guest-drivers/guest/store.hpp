// SPDX-License-Identifier: Apache-2.0
//
// A client of the store over a domU's ring: one request at a time, waited for. Paths without a leading
// slash are relative to the domain's own directory. Needs events to be set up. Answers are text in this
// object's buffer, good until the next call. The daemon is trusted with the meaning of what it says, not
// with lengths: an answer longer than the protocol allows crashes the guest, because there is no way on.
// [xen/include/public/io/xs_wire.h]
#pragma once

#include "guest/alarm.hpp"
#include "guest/byte_ring.hpp"
#include "guest/event_queue.hpp"
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
    Answer make(std::string_view path);
    Answer list(std::string_view path); // names, each ended by a zero byte
    Answer remove(std::string_view path);

    // From now on an event with this token tells of changes at and below the path, and one comes at once.
    Answer watch(std::string_view path, std::string_view token);
    Answer unwatch(std::string_view path, std::string_view token);
    // The oldest event that has not been taken. False: none has come (before the deadline).
    bool take_event(Watch_event& to);
    bool wait_event(Watch_event& to, u64 deadline = kForever);
    // A watch whose events are only counted, for drivers that look again whenever anything changed.
    Answer notice(std::string_view path) { return watch(path, kNotice); }
    Answer unnotice(std::string_view path) { return unwatch(path, kNotice); }
    // Takes in what has come and says how many events of such watches there have been.
    [[nodiscard]] u64 notices();

    // What the body does through this object is seen all at once or not at all; it is done again when
    // somebody else was quicker. `body` returns false to give up.
    template <class Body>
    bool transact(Body body)
    {
        for (u32 tries = 0; tries < kTries && begin(); ++tries) {
            const bool wanted = body();
            const End ended   = end(wanted);
            if (!wanted || ended != End::again)
                return wanted && ended == End::done;
        }
        return false;
    }

  private:
    static constexpr std::string_view kNotice    = "plinth-notice";
    static constexpr std::string_view kNoticeEnd = {"\0plinth-notice\0", 15};
    static constexpr u32 kTries                  = 64;
    enum class End { done, again, failed };
    struct Piece {
        std::string_view text;
        bool terminated;
    };
    Answer request(u32 type, Piece first, Piece second = {});
    bool begin();
    End end(bool commit);
    void put(const void* bytes, u32 count);
    void get(void* to, u32 count);
    xsd_sockmsg receive();
    void receive_events();

    xenstore_domain_interface* ring_ = nullptr;
    evtchn_port_t port_              = 0;
    u32 request_id_                  = 0;
    u32 transaction_                 = 0;
    u64 notices_                     = 0;
    Event_queue events_;
    char payload_[XENSTORE_PAYLOAD_MAX];
};

} // namespace vmm::guest

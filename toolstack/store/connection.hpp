// SPDX-License-Identifier: Apache-2.0
#pragma once
// One client being served: moves bytes between its transport and its session, a limited amount each time, so
// that no client keeps the others waiting. A client that does not take its replies is not served further
// until it does.

#include "toolstack/store/requests.hpp"
#include "toolstack/store/transport.hpp"

namespace vmm::store
{

class Connection
{
  public:
    enum class Status {
        idle,     // waits for the client
        more,     // stopped at the limit: serve again soon
        closed,   // the client is gone, or the transport broken
        too_long, // the client announced a message longer than any may be
    };

    Connection(Store& store, Domain_control& domains, Transport& transport, Session& session)
        : store_(store), domains_(domains), transport_(transport), session_(session)
    {
    }

    [[nodiscard]] Status serve();
    [[nodiscard]] bool wants_to_write() const { return !session_.outbox().empty(); }
    [[nodiscard]] bool wants_to_read() const { return session_.outbox().accepts_requests(); }
    void forget_partial_message() { reader_.reset(); }

  private:
    [[nodiscard]] Status serve_until_limit();
    [[nodiscard]] bool flush();

    Store& store_;
    Domain_control& domains_;
    Transport& transport_;
    Session& session_;
    Message_reader reader_;
};

} // namespace vmm::store

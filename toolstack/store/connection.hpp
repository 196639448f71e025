// SPDX-License-Identifier: Apache-2.0
#pragma once
// One client being served: moves bytes between its transport and its session, a limited amount each time, so
// that no client keeps the others waiting. A client that does not take its replies is not served further
// until it does.

#include "toolstack/store/requests.hpp"
#include "toolstack/store/transport.hpp"

#include <functional>
#include <string>
#include <string_view>

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

    // `keep` makes safe all that has been done up to now, by whomever; it is called before the client can see
    // anything of it.
    Connection(Store& store, Domain_control& domains, Transport& transport, Session& session,
               std::function<void()> keep)
        : store_(store), domains_(domains), transport_(transport), session_(session), keep_(std::move(keep))
    {
    }

    [[nodiscard]] Status serve();
    [[nodiscard]] bool wants_to_write() const { return !session_.outbox().empty(); }
    [[nodiscard]] bool wants_to_read() const { return session_.outbox().accepts_requests(); }
    [[nodiscard]] std::string partial_message() const { return reader_.partial(); }
    [[nodiscard]] bool restore_partial_message(std::string_view bytes) { return reader_.restore(bytes); }
    void forget_partial_message() { reader_.reset(); }

  private:
    [[nodiscard]] Status serve_until_limit();
    [[nodiscard]] bool flush();

    Store& store_;
    Domain_control& domains_;
    Transport& transport_;
    Session& session_;
    std::function<void()> keep_;
    Message_reader reader_;
};

} // namespace vmm::store

// SPDX-License-Identifier: Apache-2.0
#pragma once
// The control socket: accepts clients, cuts their bytes into requests, has them performed and sends the
// answers. It knows nothing of what the operations do. A client that goes cancels what it has not been
// answered yet.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/base/unique_fd.hpp"
#include "toolstack/control/line_channel.hpp"
#include "toolstack/vmmd/operations.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace vmm
{

class Control_server
{
  public:
    // Makes the socket's directory if need be; the socket is for root alone.
    [[nodiscard]] static Result<std::unique_ptr<Control_server>>
    create(Event_loop& loop, Operations& operations, std::string path);
    Control_server(const Control_server&)            = delete;
    Control_server& operator=(const Control_server&) = delete;
    ~Control_server();

  private:
    struct Connection {
        int fd = -1; // the channel's, only to look whether the peer is still there
        std::unique_ptr<control::Line_channel> channel;
        std::map<std::uint64_t, Operations::Cancel> pending; // by our own count: a client may reuse its ids
    };
    using Connection_ptr = std::shared_ptr<Connection>;

    Control_server(Event_loop& loop, Operations& operations, std::string path, Unique_fd listener)
        : loop_(loop), operations_(operations), path_(std::move(path)), listener_(std::move(listener))
    {
    }
    Result<void> start_accepting();
    void pause_accepting();
    void accept_client();
    void perform(const std::weak_ptr<Connection>& connection, const std::string& line);
    void drop(const std::weak_ptr<Connection>& connection);

    Event_loop& loop_;
    Operations& operations_;
    std::string path_;
    Unique_fd listener_;
    std::optional<Event_loop::Timer_id> accept_timer_; // set: none are accepted until then
    std::map<Connection*, Connection_ptr> connections_;
    std::uint64_t next_request_ = 1;
};

} // namespace vmm

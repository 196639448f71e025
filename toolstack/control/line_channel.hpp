// SPDX-License-Identifier: Apache-2.0
// One control connection on the server's side: whole lines in, whole lines out, on an Event_loop, never
// blocking. It owns the socket. The server learns that the peer is gone through on_close as soon as the
// kernel knows, also while a request of that peer is still being worked on; that is how a `create` whose `xm`
// was killed gets rolled back. The owner may destroy the channel from inside either callback.
#pragma once

#include "toolstack/base/event_loop.hpp"
#include "toolstack/base/unique_fd.hpp"
#include "toolstack/control/line_splitter.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct msghdr;

namespace vmm::control
{

class Line_channel
{
  public:
    using Line_callback  = std::function<void(std::string line)>; // without newline
    using Close_callback = std::function<void(std::string why)>;  // once; the channel is dead from then on

    // A peer that does not read what it asked for is cut off at this many unsent bytes.
    static constexpr std::size_t kMax_unsent = std::size_t{16} << 20;

    // Makes the socket non-blocking and starts to listen to it.
    [[nodiscard]] static Result<std::unique_ptr<Line_channel>>
    create(Event_loop& loop, Unique_fd socket, Line_callback on_line, Close_callback on_close);
    Line_channel(const Line_channel&)            = delete;
    Line_channel& operator=(const Line_channel&) = delete;
    ~Line_channel();

    // `bytes` as encode() makes them. Kept and sent as the peer reads; ignored once closed. on_close is never
    // called from inside send(): a failure is reported from the loop.
    void send(std::string_view bytes);

    // The descriptors that came with the line just handed out, and with none before it. What is not taken is
    // closed when the next line is handed out.
    [[nodiscard]] std::vector<Unique_fd> take_descriptors() { return std::exchange(descriptors_, {}); }

    [[nodiscard]] bool is_open() const { return static_cast<bool>(socket_); }

  private:
    Line_channel(Event_loop& loop, Unique_fd socket, Line_callback on_line, Close_callback on_close);

    void on_events(std::uint32_t events);
    void read_some();
    void keep_descriptors(const msghdr& message);
    void hand_out_lines();
    void write_some();
    void watch_writable(bool wanted);
    void close_later(std::string why);
    void close_now(std::string why);

    Event_loop& loop_;
    Unique_fd socket_;
    Line_callback on_line_;
    Close_callback on_close_;
    Line_splitter lines_;
    std::vector<Unique_fd> descriptors_;
    std::string unsent_;
    bool watching_writable_      = false;
    bool closing_                = false;
    // Lets a method notice that a callback destroyed the channel, and deferred work that it came too late.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace vmm::control

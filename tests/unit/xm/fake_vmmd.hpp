// SPDX-License-Identifier: Apache-2.0
// A vmmd for tests: the real framing and protocol on a socket in a temporary folder, with answers the test
// gives. It serves on a thread of its own and points VMMD_SOCKET at itself. Requests are recorded; one
// without an answer is held until the test answers it, which is how `wait` is played.
#pragma once

#include "toolstack/control/line_channel.hpp"
#include "toolstack/control/protocol.hpp"
#include "toolstack/xm/command.hpp"

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

namespace vmm::test
{

using control::Json;

class Fake_vmmd
{
  public:
    using Answer = std::expected<Json, control::Failure>;

    Fake_vmmd();
    ~Fake_vmmd();
    Fake_vmmd(const Fake_vmmd&)            = delete;
    Fake_vmmd& operator=(const Fake_vmmd&) = delete;

    [[nodiscard]] const std::string& socket() const { return socket_; }
    [[nodiscard]] const std::string& folder() const { return folder_; }

    // `op` may be a whole request, as requests() has them; its answer then goes before that to every other.
    void answer(std::string_view op, Json result);
    void refuse(std::string_view op, control::Code code, std::string message);
    // Answers a held request, waiting for it to come first.
    void answer_held(std::string_view op, Json result);
    void send_raw(std::string bytes);     // to every connection
    void hang_up_on(std::string_view op); // closes the connection when this is asked

    // "op {args}" of each request in the order they came.
    [[nodiscard]] std::vector<std::string> requests() const;
    void wait_for_request(std::string_view op) const;
    void wait_for_hang_ups(unsigned count) const; // by clients

  private:
    struct Connection {
        std::unique_ptr<control::Line_channel> channel;
    };

    void serve();
    void accept_one();
    void on_line(std::uint64_t connection, const std::string& line);
    [[nodiscard]] const Answer* answer_to(const std::string& request, const std::string& op) const;
    void on_loop(std::function<void()> work);
    void run_queue();

    std::string folder_ = "/tmp/xm-test-XXXXXX";
    std::string socket_;
    Unique_fd listener_;
    Unique_fd wake_read_, wake_write_;
    std::unique_ptr<Event_loop> loop_;

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::map<std::string, Answer, std::less<>> answers_;
    std::vector<std::string> hang_up_ops_;
    std::vector<std::function<void()>> queue_;
    std::vector<std::string> requests_;
    using Held = std::pair<std::uint64_t, std::uint64_t>; // connection and id
    std::map<std::string, Held, std::less<>> held_;       // by op
    unsigned hang_ups_ = 0;
    bool stop_         = false;

    std::map<std::uint64_t, Connection> connections_; // the loop's thread only
    std::uint64_t next_connection_ = 1;
    std::thread thread_;
};

// What a command left behind.
struct Ran {
    int exit = -1;
    std::string out, err;
};

[[nodiscard]] Ran run_xm(std::vector<std::string> arguments, int in_fd = -1, int out_fd = -1);

} // namespace vmm::test

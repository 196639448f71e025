// SPDX-License-Identifier: Apache-2.0
// The client's end of a control connection: blocking calls, for programs that do one thing at a time like
// `xm`. Several requests may be open at once (start), and their answers taken in any order (finish). Not
// thread safe. Closing it cancels what is still open, see README.md.
#pragma once

#include "toolstack/base/unique_fd.hpp"
#include "toolstack/control/line_splitter.hpp"
#include "toolstack/control/protocol.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace vmm::control
{

struct Call_failure {
    enum class Kind {
        no_vmmd,   // nobody listens, or we may not connect
        lost,      // the connection broke before the answer
        timed_out, // the deadline passed; the request is still open
        refused,   // vmmd answered with an error: see code
    };
    Kind kind = Kind::refused;
    Code code = Code::internal; // of a refusal
    std::string message;        // one line, complete
};

template <class T>
using Called = std::expected<T, Call_failure>;

class Client
{
  public:
    using Clock    = std::chrono::steady_clock;
    using Deadline = std::optional<Clock::time_point>; // none: wait for ever
    enum class Request_id : std::uint64_t {};

    [[nodiscard]] static Called<Client> connect(const std::string& path);

    // One request and its answer.
    [[nodiscard]] Called<Json> call(std::string_view op, Json args = Json::object());

    // `descriptors`, at most two, go with it; the caller's own stay open.
    [[nodiscard]] Called<Request_id> start(std::string_view op, Json args = Json::object(),
                                           std::span<const int> descriptors = {});
    [[nodiscard]] Called<Json> finish(Request_id id, Deadline deadline = {});

    // For a caller with a poll loop of its own: when fd() is readable, receive() takes what is there without
    // waiting, and taken() says whether the answer to `id` has come.
    [[nodiscard]] int fd() const { return socket_.get(); }
    [[nodiscard]] Called<void> receive();
    [[nodiscard]] std::optional<Called<Json>> taken(Request_id id);

  private:
    explicit Client(Unique_fd socket) : socket_(std::move(socket)) {}

    Called<void> take_lines();

    Unique_fd socket_;
    Line_splitter lines_{kMax_line};
    std::uint64_t last_id_ = 0;
    std::map<std::uint64_t, Called<Json>> answers_; // come, not yet asked for
};

} // namespace vmm::control

// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where a host listens, as people write it: "tcp:HOST:PORT", HOST in brackets if it is an IPv6 address.
// Connections made here are non-blocking; names are looked up by the system, which may take its time.

#include "toolstack/base/error.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <string>
#include <string_view>

namespace vmm::tls
{

struct Endpoint {
    std::string host; // empty, for listening: every address of this host
    std::string port;

    [[nodiscard]] std::string text() const;
};

[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);

// To the first of its addresses that answers.
[[nodiscard]] Result<Unique_fd> connect_to(const Endpoint& endpoint);
// Blocking: who calls accept() waits.
[[nodiscard]] Result<Unique_fd> listen_at(const Endpoint& endpoint);
[[nodiscard]] Result<Unique_fd> accept_from(int listener);

} // namespace vmm::tls

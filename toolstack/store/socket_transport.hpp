// SPDX-License-Identifier: Apache-2.0
#pragma once
// The transport of a client on the Unix socket. Owns the descriptor, which must be non-blocking.

#include "toolstack/base/unique_fd.hpp"
#include "toolstack/store/transport.hpp"

namespace vmm::store
{

class Socket_transport final : public Transport
{
  public:
    explicit Socket_transport(Unique_fd socket) : socket_(std::move(socket)) {}

    [[nodiscard]] int fd() const { return socket_.get(); }
    [[nodiscard]] Result<std::size_t> read(std::span<char> into) override;
    [[nodiscard]] Result<std::size_t> write(std::string_view bytes) override;
    void acknowledge() override {} // a socket ends with the process
    // The event loop tells, for as long as it is so.
    [[nodiscard]] bool has_input() override { return false; }
    void notify() override {} // the kernel does

  private:
    Unique_fd socket_;
};

} // namespace vmm::store

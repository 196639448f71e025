// SPDX-License-Identifier: Apache-2.0
#pragma once
// One connection under TLS, and what is carried over it: the bytes of two descriptors, as they come. Who the
// other end is has been checked before the first of them. It does not look into them and knows no timeouts
// but that of the handshake: whoever speaks over it notices silence.

#include "toolstack/base/unique_fd.hpp"
#include "toolstack/tls/credentials.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace vmm::tls
{

class Link
{
  public:
    // To a host with a certificate for `host`, a name or an address.
    [[nodiscard]] static Result<Link> connect(SSL_CTX& context, Unique_fd socket, const std::string& host);
    [[nodiscard]] static Result<Link> accept(SSL_CTX& context, Unique_fd socket);

    // From `in` to the other end and from there to `out`, which may be one descriptor and become
    // non-blocking. Returns when the other end has ended, all that it said having gone to `out`, or some time
    // after `in` has ended.
    [[nodiscard]] Result<void> carry(int in, int out);
    [[nodiscard]] std::string peer() const; // as its certificate names it

  private:
    struct Free {
        void operator()(SSL* ssl) const;
    };
    using Clock = std::chrono::steady_clock;
    struct Flow;

    Link(Unique_fd socket, SSL_CTX& context);
    Result<void> shake_hands(int (*step)(SSL*));
    short wanted(int returned) const;
    bool take_in(Flow& flow, int in);
    bool send_on(Flow& flow);
    bool receive(Flow& flow);
    bool give_out(Flow& flow, int out);
    bool say_end(Flow& flow);
    Result<void> wait(const Flow& flow, int in, int out) const;

    Unique_fd socket_;
    std::unique_ptr<SSL, Free> ssl_;
};

} // namespace vmm::tls

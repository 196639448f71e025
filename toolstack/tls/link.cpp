// SPDX-License-Identifier: Apache-2.0
#include "toolstack/tls/link.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <vector>

namespace vmm::tls
{

namespace
{

constexpr auto kHandshake     = std::chrono::seconds(10);
constexpr auto kLastWords     = std::chrono::seconds(5); // of the other end, after ours
constexpr std::size_t kAtOnce = 128 << 10;

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

Result<void> make_nonblocking(int fd)
{
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return fail_errno("what is to be carried over TLS");
    }
    return {};
}

// Tells the other end which of its names is meant.
bool name_peer(SSL* ssl, const std::string& host)
{
    return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    const_cast<char*>(host.c_str())) == 1; // it copies
}

// Bytes that have come and not gone yet.
class Buffer
{
  public:
    [[nodiscard]] bool empty() const { return begin_ == end_; }
    [[nodiscard]] std::span<const std::byte> held() const
    {
        return std::span(bytes_).subspan(begin_, end_ - begin_);
    }
    [[nodiscard]] std::span<std::byte> space() { return bytes_; } // while it is empty
    void fill(std::size_t size) { begin_ = 0, end_ = size; }
    void drop(std::size_t size) { begin_ += size; }
    void clear() { begin_ = end_; }

  private:
    std::vector<std::byte> bytes_ = std::vector<std::byte>(kAtOnce);
    std::size_t begin_            = 0;
    std::size_t end_              = 0;
};

} // namespace

struct Link::Flow {
    Buffer outward;
    Buffer inward;
    bool in_ended   = false;
    bool end_said   = false;
    bool peer_ended = false;
    short for_read  = 0; // what the socket must be ready for, for TLS to go on reading
    short for_write = 0;
    std::optional<Clock::time_point> until;
    Result<void> trouble;
};

void Link::Free::operator()(SSL* ssl) const { SSL_free(ssl); }

Link::Link(Unique_fd socket, SSL_CTX& context) : socket_(std::move(socket)), ssl_(SSL_new(&context)) {}

Result<Link> Link::connect(SSL_CTX& context, Unique_fd socket, const std::string& host)
{
    Link link(std::move(socket), context);
    SSL* const ssl = link.ssl_.get();
    if (ssl == nullptr || SSL_set_fd(ssl, link.socket_.get()) != 1) {
        return fail(Errc::out_of_memory, "cannot start TLS: " + openssl_trouble());
    }
    const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
    ERR_clear_error();
    if (!is_address && (SSL_set1_host(ssl, host.c_str()) != 1 || !name_peer(ssl, host))) {
        return fail(Errc::invalid, "\"" + host + "\" cannot be the name of a host");
    }
    TRY(link.shake_hands(&SSL_connect));
    return link;
}

Result<Link> Link::accept(SSL_CTX& context, Unique_fd socket)
{
    Link link(std::move(socket), context);
    if (!link.ssl_ || SSL_set_fd(link.ssl_.get(), link.socket_.get()) != 1) {
        return fail(Errc::out_of_memory, "cannot start TLS: " + openssl_trouble());
    }
    TRY(link.shake_hands(&SSL_accept));
    return link;
}

// What the socket must be ready for; 0: it is of no use any more.
short Link::wanted(int returned) const
{
    switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ: return POLLIN;
    case SSL_ERROR_WANT_WRITE: return POLLOUT;
    default: return 0;
    }
}

Result<void> Link::shake_hands(int (*step)(SSL*))
{
    const auto until = Clock::now() + kHandshake;
    for (;;) {
        ERR_clear_error();
        const int done = step(ssl_.get());
        if (done == 1) {
            return {};
        }
        const short events = wanted(done);
        if (events == 0) {
            const long verdict = SSL_get_verify_result(ssl_.get());
            return fail(Errc::access_denied,
                        "no TLS with the other host: " +
                            (verdict != X509_V_OK
                                 ? std::string("its certificate: ") + X509_verify_cert_error_string(verdict)
                                 : openssl_trouble()));
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
        pollfd look{socket_.get(), events, 0};
        if (left.count() <= 0 || ::poll(&look, 1, static_cast<int>(left.count())) == 0) {
            return fail(Errc::timed_out, "the other host has not answered in TLS within " +
                                             std::to_string(kHandshake.count()) + " s");
        }
    }
}

std::string Link::peer() const
{
    std::array<char, 256> name{};
    const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
    const int length              = certificate == nullptr
                                        ? -1
                                        : X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                                                    name.data(), name.size());
    return length < 0 ? "a host without name" : std::string(name.data());
}

// Each of these is true if something has moved.
bool Link::take_in(Flow& flow, int in)
{
    if (flow.in_ended || !flow.outward.empty()) {
        return false;
    }
    const auto space  = flow.outward.space();
    const ssize_t got = ::read(in, space.data(), space.size());
    if (got < 0 && would_block()) {
        return false;
    }
    if (got <= 0) { // a broken one ends as well
        flow.in_ended = true;
        flow.until    = Clock::now() + kLastWords;
        return true;
    }
    flow.outward.fill(static_cast<std::size_t>(got));
    return true;
}

bool Link::send_on(Flow& flow)
{
    flow.for_write = 0;
    if (flow.outward.empty()) {
        return false;
    }
    const auto held = flow.outward.held();
    ERR_clear_error();
    std::size_t sent = 0;
    const int done   = SSL_write_ex(ssl_.get(), held.data(), held.size(), &sent);
    if (done == 1) {
        flow.outward.drop(sent);
        return true;
    }
    flow.for_write = wanted(done);
    if (flow.for_write == 0) { // what the other end has said before that is still to be read
        flow.outward.clear();
        flow.in_ended = flow.end_said = true;
        flow.until                    = Clock::now() + kLastWords;
    }
    return flow.for_write == 0;
}

bool Link::receive(Flow& flow)
{
    flow.for_read = 0;
    if (flow.peer_ended || !flow.inward.empty()) {
        return false;
    }
    const auto space = flow.inward.space();
    ERR_clear_error();
    std::size_t got = 0;
    const int done  = SSL_read_ex(ssl_.get(), space.data(), space.size(), &got);
    if (done == 1) {
        flow.inward.fill(got);
        return true;
    }
    flow.for_read = wanted(done);
    if (flow.for_read != 0) {
        return false;
    }
    flow.peer_ended = true;
    if (SSL_get_error(ssl_.get(), done) != SSL_ERROR_ZERO_RETURN) {
        flow.trouble = fail(Errc::io, "the connection to the other host is broken: " + openssl_trouble());
    }
    return true;
}

bool Link::give_out(Flow& flow, int out)
{
    if (flow.inward.empty()) {
        return false;
    }
    const auto held    = flow.inward.held();
    const ssize_t done = ::write(out, held.data(), held.size());
    if (done < 0 && would_block()) {
        return false;
    }
    if (done < 0) {
        flow.inward.clear(); // nobody listens there; the other end will hear that
    } else {
        flow.inward.drop(static_cast<std::size_t>(done));
    }
    return true;
}

bool Link::say_end(Flow& flow)
{
    if (!flow.in_ended || !flow.outward.empty() || flow.end_said) {
        return false;
    }
    ERR_clear_error();
    const int done = SSL_shutdown(ssl_.get());
    flow.for_write = done < 0 ? wanted(done) : short{0};
    flow.end_said  = flow.for_write == 0;
    return flow.end_said;
}

Result<void> Link::wait(const Flow& flow, int in, int out) const
{
    const bool takes = !flow.in_ended && flow.outward.empty();
    std::array<pollfd, 3> look{
        pollfd{socket_.get(), static_cast<short>(flow.for_read | flow.for_write), 0},
        pollfd{takes ? in : -1, POLLIN, 0},
        pollfd{flow.inward.empty() ? -1 : out, POLLOUT, 0},
    };
    int patience = -1;
    if (flow.until) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*flow.until - Clock::now());
        patience        = static_cast<int>(std::max<std::int64_t>(0, left.count()));
    }
    if (::poll(look.data(), look.size(), patience) < 0 && errno != EINTR) {
        return fail_errno("cannot wait for a connection");
    }
    return {};
}

Result<void> Link::carry(int in, int out)
{
    TRY(make_nonblocking(in));
    TRY(make_nonblocking(out));
    Flow flow;
    for (;;) {
        const bool received = receive(flow);
        const bool gave     = give_out(flow, out);
        const bool took     = take_in(flow, in);
        const bool sent     = send_on(flow);
        const bool ended    = say_end(flow);
        if (flow.peer_ended && flow.inward.empty()) {
            flow.outward.clear();
            flow.in_ended = true;
            say_end(flow); // as far as that goes at once
            return flow.trouble;
        }
        if (flow.until && Clock::now() >= *flow.until) {
            return {};
        }
        if (!received && !gave && !took && !sent && !ended) {
            TRY(wait(flow, in, out));
        }
    }
}

} // namespace vmm::tls

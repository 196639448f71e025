// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/store_server_impl.hpp"

#include "toolstack/base/log.hpp"

#include <xen/io/xs_wire.h>

namespace vmm
{
namespace
{

using Failure = store::Ring_transport::Failure;
static_assert(static_cast<int>(Failure::communication) == XENSTORE_ERROR_COMM);
static_assert(static_cast<int>(Failure::indices) == XENSTORE_ERROR_RINGIDX);
static_assert(static_cast<int>(Failure::protocol) == XENSTORE_ERROR_PROTO);

constexpr int kAcceptsPerTurn = 16;
constexpr auto kAcceptPause   = std::chrono::seconds(1);

} // namespace

Store_server::Impl::Ring_client::Ring_client(Impl& server, std::unique_ptr<store::Ring_channel> channel,
                                             Domid domid)
    : transport(std::move(channel)), session(server.store_, domid,
                                             [&server, domid] {
                                                 server.waiting_rings_.insert(domid);
                                                 server.schedule();
                                             }),
      connection(server.store_, server, transport, session)
{
}

Store_server::Impl::Socket_client::Socket_client(Impl& server, Unique_fd socket)
    : transport(std::move(socket)), session(server.store_, kDom0,
                                            [&server, fd = transport.fd()] {
                                                server.waiting_sockets_.insert(fd);
                                                server.schedule();
                                            }),
      connection(server.store_, server, transport, session)
{
}

Store_server::Impl::Impl(Event_loop& loop, Options options)
    : loop_(loop), options_(std::move(options)), store_(options_.quotas), self_(std::make_shared<Impl*>(this))
{
}

Store_server::Impl::~Impl()
{
    for (const auto& entry : sockets_) {
        loop_.remove(entry.first);
    }
    if (listening_) {
        loop_.remove(listening_->fd());
    }
    if (accept_timer_) {
        loop_.cancel(*accept_timer_);
    }
    for (const auto& entry : local_watches_) {
        store_.watches().remove(entry.second->watch);
    }
}

Result<void> Store_server::Impl::listen()
{
    listening_.emplace(TRY(store::Listening_socket::create(options_.socket_path)));
    return loop_.add(listening_->fd(), EPOLLIN, [this](std::uint32_t) { accept_clients(); });
}

void Store_server::Impl::accept_clients()
{
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
        Result<Unique_fd> client = listening_->accept();
        if (!client) {
            if (client.error().code != Errc::again && client.error().code != Errc::interrupted) {
                log::error(client.error().message);
                pause_accepting();
            }
            return;
        }
        const int fd = client->get();
        sockets_[fd] = std::make_unique<Socket_client>(*this, std::move(*client));
        if (const auto added = loop_.add(fd, EPOLLIN, [this, fd](std::uint32_t) { serve_socket(fd); });
            !added) {
            log::error(added.error().message);
            sockets_.erase(fd);
        }
    }
}

// Out of descriptors, say: the socket would stay readable and keep the loop spinning.
void Store_server::Impl::pause_accepting()
{
    loop_.remove(listening_->fd());
    accept_timer_ = loop_.after(kAcceptPause, [this] {
        accept_timer_.reset();
        if (const auto added =
                loop_.add(listening_->fd(), EPOLLIN, [this](std::uint32_t) { accept_clients(); });
            !added) {
            log::error(added.error().message);
            pause_accepting();
        }
    });
}

void Store_server::Impl::serve_socket(int fd)
{
    const auto found = sockets_.find(fd);
    if (found == sockets_.end()) {
        return;
    }
    store::Connection& connection          = found->second->connection;
    const store::Connection::Status status = connection.serve();
    const bool over =
        status == store::Connection::Status::closed || status == store::Connection::Status::too_long;
    const std::uint32_t events = (connection.wants_to_read() ? std::uint32_t{EPOLLIN} : 0U) |
                                 (connection.wants_to_write() ? std::uint32_t{EPOLLOUT} : 0U);
    if (over || !loop_.modify(fd, events)) {
        loop_.remove(fd);
        sockets_.erase(found);
    }
}

Result<void> Store_server::Impl::connect(Domid domid, std::unique_ptr<store::Ring_channel> channel)
{
    if (!channel || to_number(domid) >= kFirstReservedDomid) {
        return fail(Errc::invalid, "domain " + to_string(domid) + " cannot be introduced to the store");
    }
    const auto known                  = rings_.find(domid);
    const bool is_new                 = known == rings_.end();
    const std::optional<Domid> target = is_new ? std::nullopt : known->second->target;
    if (!is_new) {
        rings_.erase(known);
    }
    Ring_client& ring = *(rings_[domid] = std::make_unique<Ring_client>(*this, std::move(channel), domid));
    if (!is_new) {
        ring.transport.reset();
        ring.target = target;
        ring.session.set_target(target);
    } else if (domid != kDom0) {
        store_.announce_special(store::kIntroduceDomain, domid);
    }
    waiting_rings_.insert(domid);
    schedule();
    return {};
}

void Store_server::Impl::disconnect(Domid domid)
{
    const bool was_introduced = rings_.erase(domid) != 0;
    for (auto& entry : rings_) {
        if (entry.second->target == domid) {
            entry.second->target.reset();
            entry.second->session.set_target(std::nullopt);
        }
    }
    store_.forget_domain(domid);
    if (was_introduced) {
        store_.announce_special(store::kReleaseDomain, domid);
    }
}

void Store_server::Impl::reconnect(Ring_client& ring)
{
    ring.session.reset();
    ring.session.outbox().clear();
    ring.connection.forget_partial_message();
    ring.transport.reset();
    ring.failed = false;
}

void Store_server::Impl::fail_ring(Domid domid, Ring_client& ring, Failure failure)
{
    if (!std::exchange(ring.reported, true)) {
        log::warning("store: domain " + to_string(domid) +
                     " broke the ring protocol; it is not served until it reconnects");
    }
    ring.failed = true;
    ring.session.reset();
    ring.session.outbox().clear();
    ring.transport.show_failure(failure);
}

void Store_server::Impl::serve_ring(Domid domid)
{
    const auto found = rings_.find(domid);
    if (found == rings_.end()) {
        return;
    }
    Ring_client& ring = *found->second;
    if (ring.transport.wants_reconnect()) {
        reconnect(ring);
    }
    if (ring.failed) {
        return;
    }
    switch (ring.connection.serve()) {
    case store::Connection::Status::idle: break;
    case store::Connection::Status::more:
        waiting_rings_.insert(domid);
        schedule();
        break;
    case store::Connection::Status::closed: fail_ring(domid, ring, Failure::indices); break;
    case store::Connection::Status::too_long: fail_ring(domid, ring, Failure::protocol); break;
    }
}

void Store_server::Impl::schedule()
{
    if (scheduled_) {
        return;
    }
    scheduled_ = true;
    loop_.defer([self = std::weak_ptr(self_)] {
        if (const auto server = self.lock()) {
            (*server)->run_waiting();
        }
    });
}

// Everyone who waited at the start of the turn is served once; whoever is not finished waits for the next
// turn.
void Store_server::Impl::run_waiting()
{
    scheduled_ = false;
    for (const int fd : std::exchange(waiting_sockets_, {})) {
        serve_socket(fd);
    }
    for (const Domid domid : std::exchange(waiting_rings_, {})) {
        serve_ring(domid);
    }
    call_local_watches();
}

Result<void> Store_server::Impl::introduce(Domid domid, std::uint64_t gfn, std::uint32_t port)
{
    if (!hooks_.on_introduce) {
        return fail(Errc::not_implemented, "this store cannot map a domain's store page");
    }
    return hooks_.on_introduce(domid, gfn, port);
}

void Store_server::Impl::release(Domid domid)
{
    disconnect(domid);
    if (hooks_.on_release) {
        hooks_.on_release(domid);
    }
}

void Store_server::Impl::resume(Domid domid)
{
    if (hooks_.on_resume) {
        hooks_.on_resume(domid);
    }
}

void Store_server::Impl::set_target(Domid domid, Domid target)
{
    const auto found = rings_.find(domid);
    if (found != rings_.end()) {
        found->second->target = target;
        found->second->session.set_target(target);
    }
}

} // namespace vmm

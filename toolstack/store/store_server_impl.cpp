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

Store_server::Impl::Ring_client::Ring_client(Impl& server, Domid domid)
    : session(
          server.store_, domid,
          [&server, domid] {
              server.waiting_rings_.insert(domid);
              server.schedule();
          },
          server.journal_ ? &server.record_ : nullptr)
{
}

Store_server::Impl::Ring_link::Ring_link(Impl& server, std::unique_ptr<store::Ring_channel> channel,
                                         store::Session& session)
    : transport(std::move(channel)),
      connection(server.store_, server, transport, session,
                 [&server, domid = session.caller().domid] { server.keep_ring(domid); })
{
}

Store_server::Impl::Socket_client::Socket_client(Impl& server, Unique_fd socket)
    : transport(std::move(socket)), session(server.store_, kDom0,
                                            [&server, fd = transport.fd()] {
                                                server.waiting_sockets_.insert(fd);
                                                server.schedule();
                                            }),
      connection(server.store_, server, transport, session, [&server] { server.keep(); })
{
}

Store_server::Impl::Impl(Event_loop& loop, Options options)
    : loop_(loop), options_(std::move(options)),
      store_(options_.quotas, options_.journal.empty() ? nullptr : &record_),
      self_(std::make_shared<Impl*>(this))
{
    store_.watches().on_removal([this] {
        if (!until_unwatched_.empty()) {
            schedule();
        }
    });
}

Store_server::Impl::~Impl()
{
    keep();
    store_.watches().on_removal({});
    for (const auto& entry : sockets_) {
        loop_.remove(entry.first);
    }
    if (listening_) {
        loop_.remove(listening_->fd());
    }
    for (const auto timer : {accept_timer_, journal_retry_}) {
        if (timer) {
            loop_.cancel(*timer);
        }
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
    auto& ring      = rings_[domid];
    const bool left = ring && !ring->link;
    std::unique_ptr<Ring_client> old;
    if (!left) {
        old = std::exchange(ring, std::make_unique<Ring_client>(*this, domid));
    }
    ring->link = std::make_unique<Ring_link>(*this, std::move(channel), ring->session);
    if (left) {
        resume_ring(domid, *ring);
    } else if (old) {
        ring->link->transport.reset();
        ring->session.set_target(old->session.caller().target);
    }
    note_whole(domid, *ring, ring->link->transport.position());
    if (!left && !old && domid != kDom0) {
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
        if (entry.second->session.caller().target == domid) {
            entry.second->session.set_target(std::nullopt);
        }
    }
    if (was_introduced && journal_) {
        record_.session_gone(domid);
    }
    store_.forget_domain(domid);
    if (was_introduced) {
        store_.announce_special(store::kReleaseDomain, domid);
    }
}

// The journal is told first: a successor then finds the guest's wish still on the page and grants it.
void Store_server::Impl::reconnect(Domid domid, Ring_client& ring)
{
    ring.session.reset();
    ring.session.outbox().clear();
    ring.link->connection.forget_partial_message();
    ring.failed = false;
    note_whole(domid, ring, {});
    keep();
    ring.link->transport.reset();
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
    ring.link->connection.forget_partial_message();
    note_whole(domid, ring, ring.link->transport.position());
    keep();
    ring.link->transport.show_failure(failure);
}

void Store_server::Impl::serve_ring(Domid domid)
{
    const auto found = rings_.find(domid);
    if (found == rings_.end() || !found->second->link) {
        return;
    }
    Ring_client& ring = *found->second;
    if (ring.link->transport.wants_reconnect()) {
        reconnect(domid, ring);
    }
    if (ring.failed) {
        return;
    }
    switch (ring.link->connection.serve()) {
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
    call_unwatched();
    keep();
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
        found->second->session.set_target(target);
    }
}

} // namespace vmm

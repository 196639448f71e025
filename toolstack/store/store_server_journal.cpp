// SPDX-License-Identifier: Apache-2.0
// The part of Store_server that outlives the process: what goes into the journal when, and taking up what a
// former server left in it.
#include "toolstack/base/log.hpp"
#include "toolstack/store/store_server_impl.hpp"

namespace vmm
{
namespace
{

constexpr auto kRetry = std::chrono::seconds(1);

} // namespace

Result<void> Store_server::Impl::open_journal()
{
    if (options_.journal.empty()) {
        return {};
    }
    using State = store::Journal::Found::State;
    journal_.emplace(options_.journal, store::present_boot());
    auto found = TRY(journal_->read());
    if (found.state == State::cut_short) {
        log::warning("store: the last record of " + journal_->path() +
                     " is not whole and is dropped: nobody had seen its effects");
    } else if (found.state == State::damaged) {
        log::error("store: " + journal_->path() + " is damaged: " + found.problem +
                   "; what came before it is used, and the file is kept as " + journal_->path() + ".bad");
        journal_->set_aside();
    }
    if (found.state != State::none) {
        TRY(restore(found.image));
    }
    rewrite_journal();
    return {};
}

Result<void> Store_server::Impl::restore(const store::Store_image& image)
{
    TRY(store_.restore(image));
    for (const auto& [domid, session] : image.sessions) {
        auto& ring = *(rings_[domid] = std::make_unique<Ring_client>(*this, domid));
        TRY(ring.session.restore(session));
        ring.failed               = session.failed;
        ring.left.position        = session.position;
        ring.left.partial_request = session.partial_request;
    }
    record_.clear(); // none of it is new
    return {};
}

// The page knows what the guest has been given since the last record. A page that does not fit the journal at
// all means that the journal lacks something (its disk was full), or that the guest has written where it
// should not: then the page's indices count, and what was under way is lost.
void Store_server::Impl::resume_ring(Domid domid, Ring_client& ring)
{
    store::Saved_session left = std::exchange(ring.left, {});
    ring.session.save(left);
    if (ring.failed || ring.link->transport.wants_reconnect()) {
        return;
    }
    const auto sent = ring.link->transport.resume(left.position, store::unsent_bytes(left));
    if (!sent || !ring.link->connection.restore_partial_message(left.partial_request)) {
        log::warning("store: the ring of domain " + to_string(domid) +
                     " is not where it was left; requests under way are lost");
        ring.session.outbox().clear();
        return;
    }
    for (std::size_t rest = *sent; rest != 0;) {
        const std::size_t count = std::min(rest, ring.session.outbox().front().size());
        ring.session.outbox().consume(count);
        rest -= count;
    }
}

store::Saved_session Store_server::Impl::saved(const Ring_client& ring)
{
    store::Saved_session session;
    ring.session.save(session);
    session.failed          = ring.failed;
    session.position        = ring.link ? ring.link->transport.position() : ring.left.position;
    session.partial_request = ring.link ? ring.link->connection.partial_message() : ring.left.partial_request;
    return session;
}

void Store_server::Impl::note_whole(Domid domid, Ring_client& ring, const store::Ring_position& position)
{
    if (journal_) {
        store::Saved_session session = saved(ring);
        session.position             = position;
        record_.whole_session(domid, session);
    }
    ring.kept = position;
}

std::vector<Domid> Store_server::Impl::introduced() const
{
    std::vector<Domid> all;
    all.reserve(rings_.size());
    for (const auto& entry : rings_) {
        all.push_back(entry.first);
    }
    return all;
}

store::Store_image Store_server::Impl::image() const
{
    store::Store_image image;
    store_.save(image);
    for (const auto& [domid, ring] : rings_) {
        image.sessions.emplace(domid, saved(*ring));
    }
    return image;
}

// A request, its effects and its answer become one record, with the place on the ring after the request: it
// is either still on the ring for a successor, or done.
void Store_server::Impl::keep_ring(Domid domid)
{
    const auto found = rings_.find(domid);
    if (journal_ && found != rings_.end()) {
        Ring_client& ring   = *found->second;
        const auto position = ring.link->transport.position();
        if (position.request_consumer != ring.kept.request_consumer) {
            record_.position(domid, position, ring.link->connection.partial_message());
            ring.kept = position;
        }
    }
    keep();
}

void Store_server::Impl::keep()
{
    if (!journal_ || record_.is_empty()) {
        return;
    }
    record_.generation(store_.generation());
    const std::string changes = record_.take();
    if (journal_retry_) {
        return; // the whole will be written
    }
    if (journal_->is_long() || !journal_->append(changes)) {
        rewrite_journal();
    }
}

// Failing to keep is no reason to stop: all is in memory, and only a death before the next try would lose it.
void Store_server::Impl::rewrite_journal()
{
    record_.clear();
    const bool retried = std::exchange(journal_retry_, std::nullopt).has_value();
    if (const auto written = journal_->replace(image()); written) {
        if (retried) {
            log::info("store: " + journal_->path() + " is complete again");
        }
        return;
    } else if (!retried) {
        log::error("store: " + written.error().message +
                   "; all goes on, but a vmmd that is started now would not know the last changes; make room "
                   "there, it is tried again every second");
    }
    journal_retry_ = loop_.after(kRetry, [this] { rewrite_journal(); });
}

} // namespace vmm

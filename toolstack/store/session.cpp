// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/session.hpp"

#include <xen/io/xs_wire.h>

namespace vmm::store
{
namespace
{

// A local client that stops reading costs this much and no more; a guest, what its quota says.
constexpr Outbox::Limits kPrivilegedLimits = {64, 1024 * 1024};

Outbox::Limits limits_for(const Store& store, Domid domid)
{
    const Quotas& quotas = store.quotas();
    return domid == kDom0 ? kPrivilegedLimits
                          : Outbox::Limits{quotas.pending_requests, quotas.pending_event_bytes};
}

} // namespace

Session::Session(Store& store, Domid domid, std::function<void()> on_output, Change_record* record)
    : store_(store), caller_{domid}, base_(domain_path(domid)), on_output_(std::move(on_output)),
      record_(record), outbox_(limits_for(store, domid))
{
}

// Not noted: whether the client is gone or only this process ends is for the owner to say.
Session::~Session() { drop_all(); }

void Session::reset()
{
    drop_all();
    if (record_ != nullptr) {
        record_->reset(caller_.domid);
    }
}

void Session::drop_all()
{
    for (auto& entry : watches_) {
        store_.watches().remove(entry.second);
    }
    watches_.clear();
    owes_events_ = false;
    transactions_.clear();
}

void Session::set_target(std::optional<Domid> target)
{
    caller_.target = target;
    if (record_ != nullptr) {
        record_->target(caller_.domid, target);
    }
}

void Session::note(const Watch& watch)
{
    if (record_ != nullptr) {
        record_->watch(caller_.domid, watch.path, watch.token,
                       {watch.hidden_prefix, watch.depth, watch.missed});
    }
}

void Session::note_output()
{
    if (record_ != nullptr) {
        record_->output(caller_.domid, outbox_.entries().back().bytes, outbox_.entries().back().is_event);
    }
    on_output_();
}

void Session::deliver(Watch& watch, std::string_view path)
{
    switch (outbox_.push_event(watch.reported(path), watch.token)) {
    case Outbox::Pushed::queued: note_output(); break;
    case Outbox::Pushed::nothing: break;
    case Outbox::Pushed::no_room:
        owes_events_ = true;
        if (!std::exchange(watch.missed, true)) {
            note(watch);
        }
        break;
    }
}

void Session::reply(const Message& message)
{
    outbox_.push_reply(message);
    note_output();
}

// A client that let its events pile up gets one event for each watch that missed some, naming the watch's own
// path: it has to look at everything below anyway.
void Session::consumed(std::size_t count)
{
    outbox_.consume(count);
    if (!owes_events_ || !outbox_.has_drained()) {
        return;
    }
    owes_events_ = false;
    for (auto& entry : watches_) {
        if (std::exchange(entry.second.missed, false)) {
            note(entry.second);
            deliver(entry.second, entry.second.path);
        }
    }
}

Result<std::string> Session::watch_path(std::string_view text) const
{
    if (!text.starts_with('@')) {
        return TRY(resolve(text)).text();
    }
    if (text.size() > XENSTORE_REL_PATH_MAX) {
        return fail(Errc::invalid, "the name of a special watch is too long");
    }
    return std::string(text);
}

Result<Watch*> Session::add_watch(std::string_view text, std::string_view token,
                                  std::optional<unsigned> depth)
{
    const Result<std::string> checked = watch_path(text);
    if (!checked) {
        return std::unexpected(checked.error());
    }
    const std::string& path = *checked;
    if (path.starts_with('@') && depth && *depth != 1) {
        return fail(Errc::invalid, "a special watch knows no depth but 1");
    }
    Watch_key key(path, token);
    if (watches_.contains(key)) {
        return fail(Errc::exists, "this watch is already set");
    }
    if (!caller_.is_privileged() && watches_.size() >= store_.quotas().watches) {
        return fail(Errc::too_big, "store quota exceeded: too many watches");
    }
    const bool relative = !text.starts_with('/') && !text.starts_with('@');
    Watch watch{this, path, std::string(token), relative ? base_.size() + 1 : 0, depth};
    Watch& added = watches_.emplace(std::move(key), std::move(watch)).first->second;
    store_.watches().add(added);
    note(added);
    return &added;
}

Result<void> Session::remove_watch(std::string_view text, std::string_view token)
{
    const auto found = watches_.find(Watch_key(TRY(watch_path(text)), token));
    if (found == watches_.end()) {
        return fail(Errc::not_found, "no such watch");
    }
    if (record_ != nullptr) {
        record_->unwatch(caller_.domid, found->second.path, found->second.token);
    }
    store_.watches().remove(found->second);
    watches_.erase(found);
    return {};
}

Result<std::uint32_t> Session::start_transaction()
{
    if (!caller_.is_privileged() && transactions_.size() >= store_.quotas().transactions) {
        return fail(Errc::no_space, "store quota exceeded: too many transactions");
    }
    while (next_transaction_ == 0 || transactions_.contains(next_transaction_)) {
        ++next_transaction_;
    }
    transactions_.emplace(next_transaction_, store_.begin(caller_));
    if (record_ != nullptr) {
        record_->transaction(caller_.domid, next_transaction_);
    }
    return next_transaction_++;
}

Result<Transaction*> Session::find_transaction(std::uint32_t id) const
{
    const auto found = transactions_.find(id);
    if (found == transactions_.end()) {
        return fail(Errc::not_found, "no such transaction");
    }
    return found->second.get();
}

Result<void> Session::end_transaction(std::uint32_t id, bool commit)
{
    const auto found = transactions_.find(id);
    if (found == transactions_.end()) {
        return fail(Errc::not_found, "no such transaction");
    }
    const std::shared_ptr<Transaction> transaction = std::move(found->second);
    transactions_.erase(found);
    if (record_ != nullptr) {
        record_->transaction_gone(caller_.domid, id);
    }
    return commit ? store_.commit(caller_, *transaction) : Result<void>{};
}

} // namespace vmm::store

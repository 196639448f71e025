// SPDX-License-Identifier: Apache-2.0
// Transactions: begin, commit, and the limit on what forgotten ones keep in memory.
#include "toolstack/store/store.hpp"

#include <algorithm>
#include <vector>

namespace vmm::store
{

std::shared_ptr<Transaction> Store::begin(const Caller& caller)
{
    if (caller.is_privileged()) {
        return std::make_shared<Transaction>(live_);
    }
    auto transaction = std::make_unique<Transaction>(live_);
    const auto place = guest_transactions_.insert(guest_transactions_.end(), transaction.get());
    return {transaction.release(), [this, place](Transaction* ended) {
                guest_transactions_.erase(place);
                delete ended;
            }};
}

// Every replaced node an open transaction still shows was replaced after its snapshot was taken. So renewing
// the oldest once that much has been replaced bounds the memory held by all of them together.
void Store::drop_old_snapshots()
{
    while (!guest_transactions_.empty()) {
        Transaction& oldest = *guest_transactions_.front();
        if (live_.retired_bytes() - oldest.retired_before() <= quotas_.snapshot_bytes) {
            return;
        }
        oldest.lose(live_);
        guest_transactions_.splice(guest_transactions_.end(), guest_transactions_,
                                   guest_transactions_.begin());
    }
}

Result<void> Store::check_quota_of(const Caller& caller, const Transaction& transaction) const
{
    const std::ptrdiff_t gained = transaction.owned_by(caller.domid);
    const auto owned            = static_cast<std::ptrdiff_t>(nodes_owned_by(caller.domid)) + gained;
    if (!caller.is_privileged() && gained > 0 && owned > static_cast<std::ptrdiff_t>(quotas_.nodes)) {
        return fail(Errc::no_space, "store quota exceeded: too many nodes");
    }
    return {};
}

// Brings one path of the live tree to what the transaction made of it. A subtree the transaction created is
// shared with it as a whole; the changes below it, which come later, find themselves already there.
Changed Store::apply(const Path& path, const Transaction::Change& change, const Tree& wanted)
{
    Changed done{path};
    const std::shared_ptr<Node> target = wanted.share(path);
    const Node* current                = live_.find(path);
    if (target.get() == current) {
        return done;
    }
    if (!change.replaced) { // relied on, so it is still there
        done.before = current->permissions;
        account(nullptr, current->permissions.front().domid, -1);
        account(nullptr, target->permissions.front().domid, 1);
        live_.assign(path, target->permissions, target->value, generation_);
        note_node(path);
        return done;
    }
    if (current != nullptr) {
        done.removed = live_.remove(path, generation_);
        done.before  = done.removed->permissions;
        account_all(nullptr, *done.removed, -1);
        note_removed(path);
    }
    if (target != nullptr) {
        live_.graft(path, target, generation_);
        account_all(nullptr, *target, 1);
        for_each_node(path, *target, [this](const Path& created, const Node&) { note_node(created); });
    }
    return done;
}

Result<void> Store::commit(const Caller& caller, Transaction& transaction)
{
    if (transaction.conflicts_with(live_)) {
        return fail(Errc::again, "what the transaction relied on has changed");
    }
    TRY(check_quota_of(caller, transaction));
    ++generation_;
    std::vector<std::pair<std::uint64_t, Changed>> events;
    for (const auto& [path, change] : transaction.changes()) {
        const bool existed = live_.find(path) != nullptr;
        Changed done       = apply(path, change, transaction.tree());
        if (change.announced && (existed || live_.find(path) != nullptr)) {
            events.emplace_back(change.order, std::move(done));
        }
    }
    std::ranges::sort(events, {}, &std::pair<std::uint64_t, Changed>::first);
    for (const auto& event : events) {
        announce(event.second, live_, watches_);
    }
    drop_old_snapshots();
    return {};
}

} // namespace vmm::store

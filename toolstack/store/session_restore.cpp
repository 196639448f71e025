// SPDX-License-Identifier: Apache-2.0
// A session as plain data and back.
#include "toolstack/store/session.hpp"

namespace vmm::store
{

void Session::save(Saved_session& saved) const
{
    saved.target = caller_.target;
    for (const auto& [key, watch] : watches_) {
        saved.watches[key] = {watch.hidden_prefix, watch.depth, watch.missed};
    }
    for (const auto& entry : transactions_) {
        saved.transactions.insert(entry.first);
    }
    saved.output = outbox_.entries();
    saved.sent   = outbox_.sent();
}

Result<void> Session::restore(const Saved_session& saved)
{
    caller_.target = saved.target;
    for (const auto& [key, watch] : saved.watches) {
        const auto& [path, token] = key;
        if (TRY(watch_path(path)) != path) {
            return fail(Errc::invalid, "a watch is set on no proper name");
        }
        Watch restored{this, path, token, watch.hidden_prefix, watch.depth, watch.missed};
        store_.watches().add(watches_.emplace(key, std::move(restored)).first->second);
        owes_events_ = owes_events_ || watch.missed;
    }
    for (const std::uint32_t id : saved.transactions) {
        transactions_.emplace(id, store_.begin(caller_)).first->second->doom();
        next_transaction_ = id + 1;
    }
    outbox_.restore(saved.output, saved.sent);
    return {};
}

} // namespace vmm::store

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/transaction.hpp"

namespace vmm::store
{
namespace
{

constexpr std::size_t kEntryBytes = 96; // of bookkeeping for each path remembered, besides its text

bool relies(unsigned what, Reliance on) { return (what & static_cast<unsigned>(on)) != 0; }

bool unchanged(const Node* before, const Node* now, unsigned what)
{
    if (before == nullptr || now == nullptr) {
        return before == now;
    }
    return (!relies(what, Reliance::node) || before->generation == now->generation) &&
           (!relies(what, Reliance::children) || before->children_generation == now->children_generation) &&
           (!relies(what, Reliance::subtree) || before->subtree_generation == now->subtree_generation) &&
           (!relies(what, Reliance::inheritance) || before->permissions == now->permissions);
}

} // namespace

std::ptrdiff_t Transaction::owned_by(Domid domid) const
{
    const auto found = owned_.find(domid);
    return found == owned_.end() ? 0 : found->second;
}

void Transaction::rely_on(const Path& path, Reliance what)
{
    const auto [entry, is_new] = relied_on_.try_emplace(path, 0U);
    entry->second |= static_cast<unsigned>(what);
    own_bytes_ += is_new ? path.text().size() + kEntryBytes : 0;
}

// A later change of a node is announced at the place of the last one, as a client would have seen it outside.
Transaction::Change& Transaction::change(const Path& path)
{
    const auto [entry, is_new] = changes_.try_emplace(path);
    own_bytes_ += is_new ? path.text().size() + kEntryBytes : 0;
    entry->second.order = next_order_++;
    return entry->second;
}

void Transaction::note_assigned(const Path& path, std::size_t value_bytes)
{
    change(path).announced = true;
    own_bytes_ += value_bytes;
}

void Transaction::note_created(const Path& path, const Path& first_created, std::size_t value_bytes)
{
    change(first_created).replaced = true;
    note_assigned(path, value_bytes);
}

void Transaction::note_removed(const Path& path)
{
    const std::string below = path.text() + '/';
    auto first              = changes_.upper_bound(std::string_view(below));
    while (first != changes_.end() && first->first.text().starts_with(below)) {
        first = changes_.erase(first);
    }
    Change& removed   = change(path);
    removed.replaced  = true;
    removed.announced = true;
}

bool Transaction::conflicts_with(const Tree& live) const
{
    if (doomed_) {
        return true;
    }
    if (&base_.root() == &live.root()) {
        return false;
    }
    for (const auto& [path, what] : relied_on_) {
        if (!unchanged(base_.find(path), live.find(path), what)) {
            return true;
        }
    }
    return false;
}

// The copied nodes are counted by the private tree itself, as what it had to stop sharing.
std::size_t Transaction::bytes() const
{
    return own_bytes_ + static_cast<std::size_t>(tree_.retired_bytes() - retired_before_);
}

void Transaction::lose(const Tree& live)
{
    *this = Transaction(live);
    doom();
}

} // namespace vmm::store

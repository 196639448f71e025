// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/store.hpp"

namespace vmm::store
{
namespace
{

// What a node counts besides value and child names, as in xenstored, so that the same guests fit.
constexpr std::size_t kNodeOverhead    = 24;
constexpr std::size_t kPermissionBytes = 8;

Permissions only_dom0() { return {Permission{kDom0, Access::none}}; }

std::unexpected<Error> quota_exceeded(std::string what)
{
    return fail(Errc::no_space, "store quota exceeded: " + std::move(what));
}

} // namespace

Store::Store(const Quotas& quotas, Change_record* record)
    : quotas_(quotas), record_(record), live_(only_dom0())
{
    special_permissions_.emplace(kIntroduceDomain, only_dom0());
    special_permissions_.emplace(kReleaseDomain, only_dom0());
    owned_[kDom0] = 1;
}

std::size_t Store::nodes_owned_by(Domid domid) const
{
    const auto found = owned_.find(domid);
    return found == owned_.end() ? 0 : static_cast<std::size_t>(found->second);
}

Result<void> Store::rely_on(const Caller& caller, Transaction* transaction, const Path& path, Reliance what)
{
    if (transaction == nullptr) {
        return {};
    }
    if (!caller.is_privileged() && (transaction->nodes_touched() >= quotas_.transaction_nodes ||
                                    transaction->bytes() >= quotas_.transaction_bytes)) {
        return quota_exceeded("the transaction is too large");
    }
    transaction->rely_on(path, what);
    return {};
}

// Whoever may not use a node is told that it does not exist only where he may see that for himself: with the
// same right on the nearest node above.
Result<const Node*> Store::access(const Caller& caller, Transaction* transaction, const Path& path,
                                  Access wanted)
{
    TRY(rely_on(caller, transaction, path, Reliance::node));
    const Tree::Deepest deepest = tree_for(transaction).find_deepest(path);
    if (!may(caller, deepest.node->permissions, wanted)) {
        return fail(Errc::access_denied, "no access to " + path.text());
    }
    if (deepest.parts != path.parts().size()) {
        return fail(Errc::not_found, "no node " + path.text());
    }
    return deepest.node;
}

Result<std::string> Store::read(const Caller& caller, Transaction* transaction, const Path& path)
{
    return TRY(access(caller, transaction, path, Access::read))->value;
}

Result<Store::Listing> Store::list(const Caller& caller, Transaction* transaction, const Path& path)
{
    const Node* node = TRY(access(caller, transaction, path, Access::read));
    TRY(rely_on(caller, transaction, path, Reliance::children));
    Listing listing{{}, std::max(node->generation, node->children_generation)};
    listing.names.reserve(node->child_list_bytes);
    for (const auto& entry : node->children) {
        listing.names.append(entry.first).push_back('\0');
    }
    return listing;
}

Result<Permissions> Store::permissions(const Caller& caller, Transaction* transaction, const Path& path)
{
    return TRY(access(caller, transaction, path, Access::read))->permissions;
}

Result<void> Store::check_size(const Caller& caller, const Node& node, std::size_t value_bytes,
                               std::size_t list_bytes, std::size_t permission_count) const
{
    const std::size_t bytes = kNodeOverhead + permission_count * kPermissionBytes + value_bytes + list_bytes;
    const bool grows        = value_bytes > node.value.size() || list_bytes > node.child_list_bytes ||
                       permission_count > node.permissions.size();
    if (!caller.is_privileged() && grows && bytes >= quotas_.node_bytes) {
        return quota_exceeded("a node may have " + std::to_string(quotas_.node_bytes) + " bytes");
    }
    return {};
}

void Store::account(Transaction* transaction, Domid owner, std::ptrdiff_t nodes)
{
    if (transaction != nullptr) {
        transaction->note_owner(owner, nodes);
        return;
    }
    auto& owned = owned_[owner];
    owned += nodes;
    if (owned == 0) {
        owned_.erase(owner);
    }
}

void Store::account_all(Transaction* transaction, const Node& node, std::ptrdiff_t sign)
{
    account(transaction, node.permissions.front().domid, sign);
    for (const auto& entry : node.children) {
        account_all(transaction, *entry.second, sign);
    }
}

Result<void> Store::create(const Caller& caller, Transaction* transaction, const Path& path,
                           std::string_view value)
{
    Tree& tree                  = tree_for(transaction);
    const Tree::Deepest deepest = tree.find_deepest(path);
    const std::size_t created   = path.parts().size() - deepest.parts;
    const Path first_created    = path.first_parts(deepest.parts + 1);
    TRY(rely_on(caller, transaction, first_created.parent(), Reliance::inheritance));
    TRY(rely_on(caller, transaction, first_created, Reliance::node));

    Permissions permissions = deepest.node->permissions;
    if (!caller.is_privileged()) {
        permissions.front().domid           = caller.domid;
        const std::ptrdiff_t in_transaction = transaction ? transaction->owned_by(caller.domid) : 0;
        const auto owned = static_cast<std::ptrdiff_t>(nodes_owned_by(caller.domid)) + in_transaction;
        if (owned + static_cast<std::ptrdiff_t>(created) > static_cast<std::ptrdiff_t>(quotas_.nodes)) {
            return quota_exceeded("a domain may own " + std::to_string(quotas_.nodes) + " nodes");
        }
    }
    const Node& parent = *deepest.node;
    TRY(check_size(caller, parent, parent.value.size(),
                   parent.child_list_bytes + first_created.leaf().size() + 1, parent.permissions.size()));
    TRY(check_size(caller, Node{}, value.size(), 0, permissions.size()));

    const Domid owner = permissions.front().domid;
    tree.create(path, permissions, std::string(value), ++generation_);
    account(transaction, owner, static_cast<std::ptrdiff_t>(created));
    if (transaction != nullptr) {
        transaction->note_created(path, first_created, value.size());
    } else {
        note_node(path);
        announce({path}, live_, watches_);
        drop_old_snapshots();
    }
    return {};
}

Result<void> Store::write(const Caller& caller, Transaction* transaction, const Path& path,
                          std::string_view value)
{
    const Result<const Node*> found = access(caller, transaction, path, Access::write);
    if (!found && found.error().code == Errc::not_found) {
        return create(caller, transaction, path, value);
    }
    const Node* node = TRY(found);
    TRY(check_size(caller, *node, value.size(), node->child_list_bytes, node->permissions.size()));
    tree_for(transaction).assign(path, node->permissions, std::string(value), ++generation_);
    if (transaction != nullptr) {
        transaction->note_assigned(path, value.size());
    } else {
        note_node(path);
        announce({path}, live_, watches_);
        drop_old_snapshots();
    }
    return {};
}

Result<void> Store::make_directory(const Caller& caller, Transaction* transaction, const Path& path)
{
    const Result<const Node*> found = access(caller, transaction, path, Access::write);
    if (!found && found.error().code == Errc::not_found) {
        return create(caller, transaction, path, {});
    }
    TRY(found);
    return {};
}

Result<void> Store::remove(const Caller& caller, Transaction* transaction, const Path& path)
{
    const Result<const Node*> found = access(caller, transaction, path, Access::write);
    if (!found && found.error().code == Errc::not_found) {
        TRY(rely_on(caller, transaction, path.parent(), Reliance::inheritance));
        if (tree_for(transaction).find(path.parent()) == nullptr) {
            return std::unexpected(found.error());
        }
        return {};
    }
    const Node* node = TRY(found);
    if (path.is_root()) {
        return fail(Errc::invalid, "the root cannot be removed");
    }
    if (transaction == nullptr) {
        remove_and_announce(path);
        drop_old_snapshots();
        return {};
    }
    TRY(rely_on(caller, transaction, path, Reliance::subtree));
    account_all(transaction, *node, -1);
    transaction->tree().remove(path, ++generation_);
    transaction->note_removed(path);
    return {};
}

void Store::remove_and_announce(const Path& path)
{
    Node_pointer removed = live_.remove(path, ++generation_);
    account_all(nullptr, *removed, -1);
    note_removed(path);
    announce({path, removed->permissions, removed}, live_, watches_);
}

Result<void> Store::set_permissions(const Caller& caller, Transaction* transaction, const Path& path,
                                    Permissions permissions)
{
    if (!caller.is_privileged() && permissions.size() > quotas_.permissions) {
        return quota_exceeded("a node may have " + std::to_string(quotas_.permissions) + " permissions");
    }
    const Node* node = TRY(access(caller, transaction, path, Access::write));
    if (!is_owner(caller, node->permissions)) {
        return fail(Errc::access_denied, "only the owner may change the permissions of " + path.text());
    }
    const Permissions before = node->permissions;
    const Domid owner        = permissions.front().domid;
    if (!caller.is_privileged() && owner != before.front().domid) {
        return fail(Errc::not_permitted, "only dom0 may give " + path.text() + " another owner");
    }
    TRY(check_size(caller, *node, node->value.size(), node->child_list_bytes, permissions.size()));
    tree_for(transaction).assign(path, std::move(permissions), node->value, ++generation_);
    account(transaction, before.front().domid, -1);
    account(transaction, owner, 1);
    if (transaction != nullptr) {
        transaction->note_assigned(path, 0);
    } else {
        note_node(path);
        announce({path, before}, live_, watches_);
        drop_old_snapshots();
    }
    return {};
}

} // namespace vmm::store

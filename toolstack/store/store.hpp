// SPDX-License-Identifier: Apache-2.0
#pragma once
// The database: every operation on nodes in the name of some caller, inside or outside a transaction, with
// permissions, quotas and watch events. Knows no connection and no wire format. Errors carry the code the
// protocol reports: not_found, access_denied, invalid, no_space (a quota), not_permitted (owner change),
// again (conflict).

#include "toolstack/store/announce.hpp"
#include "toolstack/store/change_record.hpp"
#include "toolstack/store/quota.hpp"
#include "toolstack/store/transaction.hpp"

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

namespace vmm::store
{

inline constexpr std::string_view kIntroduceDomain = "@introduceDomain";
inline constexpr std::string_view kReleaseDomain   = "@releaseDomain";

class Store
{
  public:
    struct Listing {
        std::string names; // each with a NUL after it
        std::uint64_t generation;
    };

    // Notes every change of nodes in `record`, if there is one; it must outlive the store.
    explicit Store(const Quotas& quotas, Change_record* record = nullptr);

    // The nodes of an image instead of what there is; invalid when a name in it is none. Nothing is announced
    // and nothing noted. For the beginning, before there are transactions.
    [[nodiscard]] Result<void> restore(const Store_image& image);
    void save(Store_image& image) const; // all but the sessions

    // `transaction` may be null: then the operation takes effect at once.
    [[nodiscard]] Result<std::string> read(const Caller& caller, Transaction* transaction, const Path& path);
    [[nodiscard]] Result<Listing> list(const Caller& caller, Transaction* transaction, const Path& path);
    [[nodiscard]] Result<Permissions> permissions(const Caller& caller, Transaction* transaction,
                                                  const Path& path);
    [[nodiscard]] Result<void> write(const Caller& caller, Transaction* transaction, const Path& path,
                                     std::string_view value);
    [[nodiscard]] Result<void> make_directory(const Caller& caller, Transaction* transaction,
                                              const Path& path);
    [[nodiscard]] Result<void> remove(const Caller& caller, Transaction* transaction, const Path& path);
    [[nodiscard]] Result<void> set_permissions(const Caller& caller, Transaction* transaction,
                                               const Path& path, Permissions permissions);

    // The transaction stays registered with the store until destroyed; the store must outlive it.
    [[nodiscard]] std::shared_ptr<Transaction> begin(const Caller& caller);
    // Errc::again when something it relied on has changed; nothing is changed then.
    [[nodiscard]] Result<void> commit(const Caller& caller, Transaction& transaction);

    // Who besides dom0 hears of @introduceDomain and @releaseDomain.
    [[nodiscard]] Result<Permissions> special_permissions(const Caller& caller, std::string_view name) const;
    [[nodiscard]] Result<void> set_special_permissions(const Caller& caller, std::string_view name,
                                                       Permissions permissions);
    void announce_special(std::string_view name, Domid domid);

    // Removes the nodes a domain owns and its entries in all permissions, so that a later domain of the same
    // number inherits nothing.
    void forget_domain(Domid domid);

    [[nodiscard]] Watch_index& watches() { return watches_; }
    [[nodiscard]] const Watch_index& watches() const { return watches_; }
    [[nodiscard]] const Quotas& quotas() const { return quotas_; }
    [[nodiscard]] std::size_t nodes_owned_by(Domid domid) const;
    [[nodiscard]] std::uint64_t generation() const { return generation_; }

  private:
    [[nodiscard]] Tree& tree_for(Transaction* transaction)
    {
        return transaction ? transaction->tree() : live_;
    }
    [[nodiscard]] Result<void> rely_on(const Caller& caller, Transaction* transaction, const Path& path,
                                       Reliance what);
    [[nodiscard]] Result<const Node*> access(const Caller& caller, Transaction* transaction, const Path& path,
                                             Access wanted);
    [[nodiscard]] Result<void> create(const Caller& caller, Transaction* transaction, const Path& path,
                                      std::string_view value);
    [[nodiscard]] Result<void> check_size(const Caller& caller, const Node& node, std::size_t value_bytes,
                                          std::size_t list_bytes, std::size_t permission_count) const;
    void account(Transaction* transaction, Domid owner, std::ptrdiff_t nodes);
    void account_all(Transaction* transaction, const Node& node, std::ptrdiff_t sign);
    void remove_and_announce(const Path& path);
    [[nodiscard]] Result<void> check_quota_of(const Caller& caller, const Transaction& transaction) const;
    [[nodiscard]] Changed apply(const Path& path, const Transaction::Change& change, const Tree& wanted);
    void drop_old_snapshots();
    void note_node(const Path& path);
    void note_removed(const Path& path);

    Quotas quotas_;
    Change_record* record_;
    Tree live_;
    std::uint64_t generation_ = 1;
    Watch_index watches_;
    std::unordered_map<Domid, std::ptrdiff_t> owned_; // nodes of the live tree by owner
    std::map<std::string, Permissions, std::less<>> special_permissions_;
    std::list<Transaction*> guest_transactions_; // the oldest snapshot first; each leaves when destroyed
};

} // namespace vmm::store

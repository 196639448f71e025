// SPDX-License-Identifier: Apache-2.0
#pragma once
// One open transaction: the tree as it was when it began, its own changed copy, what of the original it
// relied on, and what it changed. It can be committed as long as everything relied on is still the same in
// the live tree; changes elsewhere do not disturb it. The store fills it; the transaction itself checks no
// permission.

#include "toolstack/store/tree.hpp"

#include <cstdint>
#include <functional>
#include <map>

namespace vmm::store
{

enum class Reliance : unsigned {
    node        = 1, // its existence, value and permissions
    children    = 2, // the list of its children
    subtree     = 4, // all of it and below
    inheritance = 8, // its existence and permissions: something was created in it
};

class Transaction
{
  public:
    struct Change {
        std::uint64_t order = 0;     // of the events to come
        bool replaced       = false; // created, removed or both: the whole subtree is this transaction's
        bool announced      = false; // false for a parent made on the way
    };
    using Changes = std::map<Path, Change, std::less<>>; // a parent sorts before what is below it

    explicit Transaction(const Tree& live) : base_(live), tree_(live), retired_before_(live.retired_bytes())
    {
    }

    [[nodiscard]] Tree& tree() { return tree_; }
    [[nodiscard]] const Tree& base() const { return base_; }
    [[nodiscard]] const Changes& changes() const { return changes_; }
    [[nodiscard]] const std::map<Domid, std::ptrdiff_t>& owned() const { return owned_; }
    [[nodiscard]] std::ptrdiff_t owned_by(Domid domid) const;
    [[nodiscard]] std::uint64_t retired_before() const { return retired_before_; }

    void rely_on(const Path& path, Reliance what);
    void note_assigned(const Path& path, std::size_t value_bytes);
    void note_created(const Path& path, const Path& first_created, std::size_t value_bytes);
    void note_removed(const Path& path);
    void note_owner(Domid domid, std::ptrdiff_t nodes) { owned_[domid] += nodes; }

    [[nodiscard]] bool conflicts_with(const Tree& live) const;
    [[nodiscard]] std::size_t nodes_touched() const { return relied_on_.size(); }
    [[nodiscard]] std::size_t bytes() const; // of memory this transaction alone is to blame for

    // It can be used, but its commit will conflict: for one begun before this process.
    void doom() { doomed_ = true; }
    // Gives up the snapshot and all changes to free their memory. It goes on, on the nodes as they are, and
    // its commit will conflict: a client expects no such error from any other request.
    void lose(const Tree& live);

  private:
    Change& change(const Path& path);

    Tree base_;
    Tree tree_;
    std::uint64_t retired_before_; // the live tree's count when the snapshot was taken
    std::map<Path, unsigned> relied_on_;
    std::size_t own_bytes_ = 0; // paths remembered and values written
    Changes changes_;
    std::uint64_t next_order_ = 0;
    std::map<Domid, std::ptrdiff_t> owned_; // nodes gained or lost by each owner
    bool doomed_ = false;
};

} // namespace vmm::store

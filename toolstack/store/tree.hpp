// SPDX-License-Identifier: Apache-2.0
#pragma once
// The nodes of the store, as a persistent tree: copying a Tree is one pointer, and a change copies only the
// nodes on the way to it that a copy still shares. That is what makes a transaction a snapshot. The tree
// knows neither permissions' meaning nor quotas; callers check first, then change. Generations come from the
// caller's ever-growing counter.

#include "toolstack/store/path.hpp"
#include "toolstack/store/permissions.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace vmm::store
{

struct Node {
    using Children = std::map<std::string, std::shared_ptr<Node>, std::less<>>;

    std::string value;
    Permissions permissions;
    Children children;
    std::size_t child_list_bytes      = 0; // names with a NUL each, as DIRECTORY answers
    std::uint64_t generation          = 0; // of the last change of value or permissions, or of the creation
    std::uint64_t children_generation = 0; // of the last child added or removed
    std::uint64_t subtree_generation  = 0; // of the last change of any kind here or below
};

using Node_pointer = std::shared_ptr<const Node>;

class Tree
{
  public:
    explicit Tree(Permissions root_permissions);

    // Pointers are valid until the next change of this tree.
    [[nodiscard]] const Node* find(const Path& path) const;
    struct Deepest {
        const Node* node;  // the path's node or its nearest existing ancestor
        std::size_t parts; // how many parts of the path lead to it
    };
    [[nodiscard]] Deepest find_deepest(const Path& path) const;
    [[nodiscard]] const Node& root() const { return *root_; }

    // The node must not exist; its missing parents are made too, empty and with the same permissions.
    void create(const Path& path, const Permissions& permissions, std::string value,
                std::uint64_t generation);
    // Hangs a node of another tree, with all below, here. The parent must exist and have no such child.
    void graft(const Path& path, std::shared_ptr<Node> node, std::uint64_t generation);
    [[nodiscard]] std::shared_ptr<Node>
    share(const Path& path) const; // for graft(); empty when there is no such node
    // The node must exist.
    void assign(const Path& path, Permissions permissions, std::string value, std::uint64_t generation);
    // The node must exist and not be the root. Returns it with all below.
    Node_pointer remove(const Path& path, std::uint64_t generation);

    // Bytes of nodes that left this tree since it began and may live on in copies of it: never shrinks.
    [[nodiscard]] std::uint64_t retired_bytes() const { return retired_bytes_; }

  private:
    Node& edit(const Path& path, std::uint64_t generation);
    void unshare(std::shared_ptr<Node>& node);

    std::shared_ptr<Node> root_;
    std::uint64_t retired_bytes_ = 0;
};

// An estimate of a node's own memory, its children's not included.
[[nodiscard]] std::size_t memory_of(const Node& node);

// Calls visit(path, node) for a node and all below it, parents first.
template <class Visit>
void for_each_node(const Path& path, const Node& node, const Visit& visit)
{
    visit(path, node);
    for (const auto& [name, child] : node.children) {
        for_each_node(path.child(name), *child, visit);
    }
}

} // namespace vmm::store

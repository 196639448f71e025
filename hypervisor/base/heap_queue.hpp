// SPDX-License-Identifier: Apache-2.0
//
// A priority queue threaded through its elements, which derive from Heap_queue::Node and belong to somebody
// else: a leftist heap, so that inserting and removing, from any place, take O(log n) steps at worst and no
// memory. Keys are compared by their signed difference: they may wrap, but never be 2^63 apart.
#pragma once

#include "base/types.hpp"

#include <array>
#include <utility>

namespace vmm
{

class Heap_queue
{
  public:
    struct Node {
        u64 key      = 0;
        Node* parent = nullptr;
        Node* left   = nullptr;
        Node* right  = nullptr;
        u32 rank     = 0; // 1 + the least number of steps down to a missing child
    };

    static constexpr bool before(u64 a, u64 b) { return static_cast<s64>(a - b) < 0; }

    [[nodiscard]] bool empty() const { return root_ == nullptr; }
    // The least key; nullptr when empty.
    [[nodiscard]] Node* top() const { return root_; }

    void insert(Node& node)
    {
        node.left = node.right = nullptr;
        node.rank              = 1;
        root_                  = merge(root_, &node);
        root_->parent          = nullptr;
    }

    void remove(Node& node)
    {
        Node* rest   = merge(node.left, node.right);
        Node* parent = node.parent;
        if (rest)
            rest->parent = parent;
        if (!parent) {
            root_ = rest;
            return;
        }
        (parent->left == &node ? parent->left : parent->right) = rest;
        while (parent && restore(*parent))
            parent = parent->parent;
    }

    // The first node that pleases, looking at no more than a few of those with small keys.
    template <class Pleases>
    [[nodiscard]] Node* find_near_top(Pleases pleases) const
    {
        std::array<Node*, 16> seen{};
        unsigned count = 0;
        const auto see = [&](Node* node) {
            if (node && count < seen.size())
                seen[count++] = node;
        };
        see(root_);
        for (unsigned i = 0; i < count; ++i) {
            if (pleases(*seen[i]))
                return seen[i];
            see(seen[i]->left);
            see(seen[i]->right);
        }
        return nullptr;
    }

  private:
    static u32 rank_of(const Node* node) { return node ? node->rank : 0; }

    // Whether the rank changed, so that the parent's may too.
    static bool restore(Node& node)
    {
        if (rank_of(node.left) < rank_of(node.right))
            std::swap(node.left, node.right);
        const u32 rank = rank_of(node.right) + 1;
        return std::exchange(node.rank, rank) != rank;
    }

    static Node* merge(Node* a, Node* b)
    {
        if (!a)
            return b;
        if (!b)
            return a;
        if (before(b->key, a->key))
            std::swap(a, b);
        a->right         = merge(a->right, b);
        a->right->parent = a;
        restore(*a);
        return a;
    }

    Node* root_ = nullptr;
};

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/tree.hpp"

namespace vmm::store
{
namespace
{

constexpr std::size_t kBytesPerChild = 96; // map node, pointer and a short name

std::uint64_t memory_below(const Node& node)
{
    std::uint64_t bytes = memory_of(node);
    for (const auto& entry : node.children) {
        bytes += memory_below(*entry.second);
    }
    return bytes;
}

Node& add_child(Node& parent, std::string_view name, std::shared_ptr<Node> child, std::uint64_t generation)
{
    Node& added = *parent.children.emplace(name, std::move(child)).first->second;
    parent.child_list_bytes += name.size() + 1;
    parent.children_generation = generation;
    return added;
}

} // namespace

std::size_t memory_of(const Node& node)
{
    return sizeof(Node) + node.value.capacity() + node.permissions.capacity() * sizeof(Permission) +
           node.child_list_bytes + node.children.size() * kBytesPerChild;
}

Tree::Tree(Permissions root_permissions) : root_(std::make_shared<Node>())
{
    root_->permissions = std::move(root_permissions);
}

const Node* Tree::find(const Path& path) const
{
    const auto parts = path.parts();
    const Node* node = root_.get();
    for (const std::string_view part : parts) {
        const auto child = node->children.find(part);
        if (child == node->children.end()) {
            return nullptr;
        }
        node = child->second.get();
    }
    return node;
}

Tree::Deepest Tree::find_deepest(const Path& path) const
{
    const auto parts = path.parts();
    Deepest deepest{root_.get(), 0};
    for (const std::string_view part : parts) {
        const auto child = deepest.node->children.find(part);
        if (child == deepest.node->children.end()) {
            break;
        }
        deepest = {child->second.get(), deepest.parts + 1};
    }
    return deepest;
}

void Tree::unshare(std::shared_ptr<Node>& node)
{
    if (node.use_count() > 1) {
        retired_bytes_ += memory_of(*node);
        node = std::make_shared<Node>(*node);
    }
}

Node& Tree::edit(const Path& path, std::uint64_t generation)
{
    unshare(root_);
    Node* node               = root_.get();
    node->subtree_generation = generation;
    for (const std::string_view part : path.parts()) {
        std::shared_ptr<Node>& child = node->children.find(part)->second;
        unshare(child);
        node                     = child.get();
        node->subtree_generation = generation;
    }
    return *node;
}

void Tree::create(const Path& path, const Permissions& permissions, std::string value,
                  std::uint64_t generation)
{
    const auto parts           = path.parts();
    const std::size_t existing = find_deepest(path).parts;
    Node* parent               = &edit(path.first_parts(existing), generation);
    for (std::size_t i = existing; i < parts.size(); ++i) {
        auto node         = std::make_shared<Node>();
        node->permissions = permissions;
        node->generation = node->children_generation = node->subtree_generation = generation;
        parent = &add_child(*parent, parts[i], std::move(node), generation);
    }
    parent->value = std::move(value);
}

std::shared_ptr<Node> Tree::share(const Path& path) const
{
    std::shared_ptr<Node> node = root_;
    for (const std::string_view part : path.parts()) {
        const auto child = node->children.find(part);
        if (child == node->children.end()) {
            return nullptr;
        }
        node = child->second;
    }
    return node;
}

void Tree::graft(const Path& path, std::shared_ptr<Node> node, std::uint64_t generation)
{
    add_child(edit(path.parent(), generation), path.leaf(), std::move(node), generation);
}

void Tree::assign(const Path& path, Permissions permissions, std::string value, std::uint64_t generation)
{
    Node& node       = edit(path, generation);
    node.permissions = std::move(permissions);
    node.value       = std::move(value);
    node.generation  = generation;
}

Node_pointer Tree::remove(const Path& path, std::uint64_t generation)
{
    Node& parent         = edit(path.parent(), generation);
    const auto child     = parent.children.find(path.leaf());
    Node_pointer removed = std::move(child->second);
    parent.children.erase(child);
    parent.child_list_bytes -= path.leaf().size() + 1;
    parent.children_generation = generation;
    retired_bytes_ += memory_below(*removed);
    return removed;
}

} // namespace vmm::store

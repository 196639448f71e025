// SPDX-License-Identifier: Apache-2.0
// The database as an image and back, and noting what changes in between.
#include "toolstack/store/store.hpp"

namespace vmm::store
{

void Store::note_node(const Path& path)
{
    if (record_ != nullptr) {
        const Node& node = *live_.find(path);
        record_->node(path.text(), node.value, node.permissions);
    }
}

void Store::note_removed(const Path& path)
{
    if (record_ != nullptr) {
        record_->removed(path.text());
    }
}

void Store::save(Store_image& image) const
{
    image.generation = generation_;
    for_each_node(Path::root(), live_.root(), [&](const Path& path, const Node& node) {
        image.nodes.emplace_hint(image.nodes.end(), path.text(), Saved_node{node.value, node.permissions});
    });
    image.special_permissions.insert(special_permissions_.begin(), special_permissions_.end());
}

// All nodes get a generation that nobody has seen: a client that was reading a directory in parts begins
// anew.
Result<void> Store::restore(const Store_image& image)
{
    Tree tree(live_.root().permissions);
    const std::uint64_t generation = std::max(generation_, image.generation) + 1;
    for (const auto& [text, node] : image.nodes) {
        const Path path = TRY(Path::parse(text, "/"));
        if (path.text() != text) {
            return fail(Errc::invalid, "a node has no proper name");
        }
        if (tree.find(path) == nullptr) {
            tree.create(path, node.permissions, node.value, generation);
        } else {
            tree.assign(path, node.permissions, node.value, generation);
        }
    }
    live_       = std::move(tree);
    generation_ = generation;
    owned_.clear();
    account_all(nullptr, live_.root(), 1);
    for (const auto& [name, permissions] : image.special_permissions) {
        if (const auto known = special_permissions_.find(name); known != special_permissions_.end()) {
            known->second = permissions;
        }
    }
    return {};
}

} // namespace vmm::store

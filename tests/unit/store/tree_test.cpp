// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/tree.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace vmm;
using namespace vmm::store;

namespace
{

const Permissions kPermissions = {{Domid(0), Access::none}};

Path path(std::string_view text) { return *Path::parse(text, "/"); }

std::vector<std::string> all(const Tree& tree)
{
    std::vector<std::string> paths;
    for_each_node(Path::root(), tree.root(),
                  [&](const Path& at, const Node& node) { paths.push_back(at.text() + "=" + node.value); });
    return paths;
}

} // namespace

TEST_CASE("creating makes the parents, assigning keeps the children, removing takes all below")
{
    Tree tree(kPermissions);
    tree.create(path("/a/b/c"), kPermissions, "1", 2);
    tree.create(path("/a/d"), kPermissions, "2", 3);
    CHECK(all(tree) == std::vector<std::string>{"/=", "/a=", "/a/b=", "/a/b/c=1", "/a/d=2"});
    tree.assign(path("/a/b"), kPermissions, "x", 4);
    CHECK(all(tree) == std::vector<std::string>{"/=", "/a=", "/a/b=x", "/a/b/c=1", "/a/d=2"});
    const Node_pointer removed = tree.remove(path("/a/b"), 5);
    CHECK(removed->children.size() == 1);
    CHECK(all(tree) == std::vector<std::string>{"/=", "/a=", "/a/d=2"});
    CHECK(tree.find(path("/a"))->child_list_bytes == 2);
}

TEST_CASE("a copy is a snapshot: changes of either do not show in the other")
{
    Tree tree(kPermissions);
    tree.create(path("/a/b"), kPermissions, "old", 2);
    tree.create(path("/a/c"), kPermissions, "same", 3);
    Tree copy          = tree;
    const Node* shared = tree.find(path("/a/c"));
    tree.assign(path("/a/b"), kPermissions, "new", 4);
    copy.create(path("/a/e"), kPermissions, "only in the copy", 5);
    tree.remove(path("/a/c"), 6);
    CHECK(all(tree) == std::vector<std::string>{"/=", "/a=", "/a/b=new"});
    CHECK(all(copy) ==
          std::vector<std::string>{"/=", "/a=", "/a/b=old", "/a/c=same", "/a/e=only in the copy"});
    CHECK(copy.find(path("/a/c")) == shared); // not copied, as it did not change
}

TEST_CASE("without a copy nothing is retired by changes in place")
{
    Tree tree(kPermissions);
    tree.create(path("/a/b"), kPermissions, "1", 2);
    const auto before = tree.retired_bytes();
    tree.assign(path("/a/b"), kPermissions, "2", 3);
    CHECK(tree.retired_bytes() == before);
    const Tree copy = tree;
    tree.assign(path("/a/b"), kPermissions, "3", 4);
    const auto after_copy = tree.retired_bytes();
    CHECK(after_copy >= before + 3 * sizeof(Node)); // root, /a and /a/b live on in the copy
    tree.assign(path("/a/b"), kPermissions, "4", 5);
    CHECK(tree.retired_bytes() == after_copy);
}

TEST_CASE("each kind of change shows in the generation that stands for it")
{
    Tree tree(kPermissions);
    tree.create(path("/a/b"), kPermissions, "", 2);
    const auto generations = [&](std::string_view text) {
        const Node& node = *tree.find(path(text));
        return std::vector<std::uint64_t>{node.generation, node.children_generation, node.subtree_generation};
    };
    CHECK(generations("/a") == std::vector<std::uint64_t>{2, 2, 2});
    tree.assign(path("/a/b"), kPermissions, "x", 3);
    CHECK(generations("/a") == std::vector<std::uint64_t>{2, 2, 3});
    CHECK(generations("/a/b") == std::vector<std::uint64_t>{3, 2, 3});
    tree.create(path("/a/c"), kPermissions, "", 4);
    CHECK(generations("/a") == std::vector<std::uint64_t>{2, 4, 4});
    CHECK(generations("/a/b") == std::vector<std::uint64_t>{3, 2, 3});
    tree.remove(path("/a/c"), 5);
    CHECK(generations("/a") == std::vector<std::uint64_t>{2, 5, 5});
    CHECK(generations("/") == std::vector<std::uint64_t>{0, 2, 5});
}

TEST_CASE("a subtree grafted from another tree is shared with it")
{
    Tree one(kPermissions);
    Tree two(kPermissions);
    two.create(path("/x/y"), kPermissions, "v", 2);
    one.graft(path("/x"), two.share(path("/x")), 3);
    CHECK(one.find(path("/x/y")) == two.find(path("/x/y")));
    one.assign(path("/x/y"), kPermissions, "w", 4);
    CHECK(two.find(path("/x/y"))->value == "v");
    CHECK(two.share(path("/none")) == nullptr);
}

// SPDX-License-Identifier: Apache-2.0
#pragma once
// The absolute, valid name of a node: "/" or "/a/b", made of letters, digits and -_@, no empty parts, no
// slash at the end, at most 2048 bytes not counting a leading "/local/domain/<n>/" (docs/misc/xenstore.txt,
// XENSTORE_REL_PATH_MAX). A Path can only be made through parse(), so whoever holds one need not check it
// again.

#include "toolstack/base/domid.hpp"
#include "toolstack/base/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vmm::store
{

class Path
{
  public:
    // A text not starting with '/' is taken relative to `base`, itself a valid absolute path; one starting
    // with '@' names no node.
    [[nodiscard]] static Result<Path> parse(std::string_view text, std::string_view base);
    [[nodiscard]] static Path root() { return Path("/"); }

    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] bool is_root() const { return text_.size() == 1; }
    [[nodiscard]] Path parent() const;            // the root is its own parent
    [[nodiscard]] std::string_view leaf() const&; // empty for the root
    std::string_view leaf() const&& = delete;
    [[nodiscard]] Path child(std::string_view name) const;
    [[nodiscard]] std::vector<std::string_view> parts() const&; // views into this path
    std::vector<std::string_view> parts() const&& = delete;
    // The ancestor (or this path) that has the first `count` parts.
    [[nodiscard]] Path first_parts(std::size_t count) const;

    friend bool operator==(const Path&, const Path&)  = default;
    friend auto operator<=>(const Path&, const Path&) = default;
    friend auto operator<=>(const Path& path, std::string_view text)
    {
        return std::string_view(path.text_) <=> text;
    }

  private:
    explicit Path(std::string text) : text_(std::move(text)) {}

    std::string text_;
};

[[nodiscard]] std::string domain_path(Domid domid); // "/local/domain/<n>"

} // namespace vmm::store

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/watch.hpp"

#include <algorithm>

namespace vmm::store
{
namespace
{

bool is_at_or_below(std::string_view path, std::string_view ancestor)
{
    return path.starts_with(ancestor) && (path.size() == ancestor.size() || path[ancestor.size()] == '/');
}

// The longest of `path` and its ancestors that `other` starts with as a text; empty when only the root is
// left.
std::string_view common_ancestor(std::string_view path, std::string_view other)
{
    const auto differs = std::ranges::mismatch(path, other).in1;
    auto length        = static_cast<std::size_t>(differs - path.begin());
    if (length < path.size() && path[length] != '/') {
        length = length == 0 ? 0 : path.rfind('/', length - 1);
    }
    return path.substr(0, length == path.npos ? 0 : length);
}

std::size_t levels_between(std::string_view ancestor, std::string_view path)
{
    const std::string_view rest = ancestor == "/" ? path : path.substr(ancestor.size());
    return rest == "/" ? 0 : static_cast<std::size_t>(std::ranges::count(rest, '/'));
}

} // namespace

std::string_view Watch::reported(std::string_view event_path) const
{
    return event_path.substr(std::min(hidden_prefix, event_path.size()));
}

void Watch_index::add(Watch& watch) { watches_[watch.path].push_back(&watch); }

void Watch_index::remove(Watch& watch)
{
    const auto found = watches_.find(watch.path);
    std::erase(found->second, &watch);
    if (found->second.empty()) {
        watches_.erase(found);
    }
    if (on_removal_) {
        on_removal_();
    }
}

std::vector<Watch*> Watch_index::at(std::string_view path) const
{
    const auto found = watches_.find(path);
    return found == watches_.end() ? std::vector<Watch*>{} : found->second;
}

// Every ancestor of `path` among the keys sorts before it, and between such an ancestor and the path lie only
// keys that start with the ancestor. So from the greatest key not after the path, one step leads to the next
// possible ancestor.
std::vector<Watch*> Watch_index::covering(std::string_view path) const
{
    std::vector<Watch*> found;
    const auto collect = [&](const std::vector<Watch*>& watches) {
        for (Watch* watch : watches) {
            if (!watch->depth || levels_between(watch->path, path) <= *watch->depth) {
                found.push_back(watch);
            }
        }
    };
    std::string_view candidate = path;
    while (candidate.size() > 1) {
        auto next = watches_.upper_bound(candidate);
        if (next == watches_.begin()) {
            break;
        }
        --next;
        if (is_at_or_below(candidate, next->first)) {
            collect(next->second);
            candidate = candidate.substr(0, next->first.rfind('/'));
        } else {
            candidate = common_ancestor(candidate, next->first);
        }
    }
    if (const auto root = watches_.find(std::string_view("/")); root != watches_.end()) {
        collect(root->second);
    }
    return found;
}

std::vector<Watch*> Watch_index::below(std::string_view path) const
{
    const std::string first = path == "/" ? std::string("/") : std::string(path) + '/';
    std::vector<Watch*> found;
    for (auto it = watches_.upper_bound(first); it != watches_.end() && it->first.starts_with(first); ++it) {
        found.insert(found.end(), it->second.begin(), it->second.end());
    }
    return found;
}

} // namespace vmm::store

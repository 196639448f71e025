// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace vmm::config
{

namespace
{

constexpr std::size_t kLongest_word = 64; // longer ones are no misspelling, and the cost is quadratic

} // namespace

unsigned edit_distance(std::string_view a, std::string_view b)
{
    // Three rows of the table: the one being filled and the two before it (a swap looks two back).
    std::vector<unsigned> before(b.size() + 1), previous(b.size() + 1), row(b.size() + 1);
    std::iota(previous.begin(), previous.end(), 0u);
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = static_cast<unsigned>(i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const unsigned replace = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u);
            row[j]                 = std::min({previous[j] + 1, row[j - 1] + 1, replace});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, previous);
        std::swap(previous, row);
    }
    return previous[b.size()];
}

std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates)
{
    if (word.size() > kLongest_word)
        return std::nullopt;
    unsigned best = std::clamp(static_cast<unsigned>(word.size()) / 3, 1u, 3u) + 1;
    std::optional<std::string_view> found;
    for (const auto candidate : candidates) {
        const unsigned distance = edit_distance(word, candidate);
        if (distance < best) {
            best  = distance;
            found = candidate;
        }
    }
    return found;
}

} // namespace vmm::config

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/generation_id.hpp"

#include "toolstack/base/random_bytes.hpp"

#include <charconv>
#include <span>

namespace vmm::config
{

Generation_id Generation_id::random()
{
    Generation_id id;
    fill_with_random(std::as_writable_bytes(std::span(&id, 1)));
    return id;
}

std::optional<Generation_id> Generation_id::parse(std::string_view text)
{
    Generation_id id;
    const char* const end = text.data() + text.size();
    const auto low        = std::from_chars(text.data(), end, id.low);
    if (low.ec != std::errc() || low.ptr == end || *low.ptr != ':')
        return std::nullopt;
    const auto high = std::from_chars(low.ptr + 1, end, id.high);
    if (high.ec != std::errc() || high.ptr != end)
        return std::nullopt;
    return id;
}

std::string Generation_id::to_string() const { return std::to_string(low) + ":" + std::to_string(high); }

} // namespace vmm::config

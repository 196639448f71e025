// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/kept_grants.hpp"

#include "toolstack/xen/types.hpp"

#include <algorithm>
#include <utility>

namespace vmm::block
{

// To map a page costs far more than to use one, and most of that is for the call, however many pages it maps.
void Kept_grants::find_all(std::span<const blkif_request_segment> segments)
{
    missing_.clear();
    for (const blkif_request_segment& segment : segments) {
        if (!is_kept(segment.gref) && segment.gref <= kHighestRef) {
            missing_.push_back(segment.gref);
        }
    }
    if (missing_.size() < 2) {
        return;
    }
    std::ranges::sort(missing_);
    const auto twice = std::ranges::unique(missing_);
    missing_.erase(twice.begin(), twice.end());
    if (kept_.size() + missing_.size() > most_) {
        return;
    }
    const auto mapping = std::make_shared<Mapped_pages>(grants_.map(missing_));
    if (!*mapping) {
        return; // one of them cannot be had: each is tried for itself
    }
    std::byte* page = mapping->data();
    for (const grant_ref_t ref : missing_) {
        put(kept_.emplace_back(), ref, page, mapping);
        page += kPageSize;
    }
}

std::byte* Kept_grants::find(grant_ref_t ref)
{
    if (is_kept(ref)) {
        Kept& kept       = kept_[place_[ref]];
        kept.used_by     = request_;
        kept.used_lately = true;
        return kept.page;
    }
    return keep(ref);
}

std::byte* Kept_grants::keep(grant_ref_t ref)
{
    if (ref > kHighestRef) {
        return nullptr;
    }
    Kept* place = kept_.size() == most_ ? give_way() : nullptr;
    if (kept_.size() == most_ && place == nullptr) {
        return nullptr;
    }
    const auto page = std::make_shared<Mapped_pages>(grants_.map({&ref, 1}));
    if (!*page) {
        return nullptr;
    }
    if (place == nullptr) {
        place = &kept_.emplace_back();
    } else {
        place_[place->ref] = kNowhere;
    }
    put(*place, ref, page->data(), page);
    return page->data();
}

void Kept_grants::put(Kept& place, grant_ref_t ref, std::byte* page,
                      const std::shared_ptr<Mapped_pages>& mapping)
{
    place = {ref, request_, true, page, mapping};
    if (place_.size() <= ref) {
        place_.resize(ref + 1, kNowhere);
    }
    place_[ref] = static_cast<std::uint32_t>(&place - kept_.data());
}

// Second chance: two rounds find one, unless this request uses them all.
Kept_grants::Kept* Kept_grants::give_way()
{
    for (std::size_t looked = 0; looked < 2 * kept_.size(); ++looked) {
        Kept& kept = kept_[hand_++ % kept_.size()];
        if (kept.used_by != request_ && !std::exchange(kept.used_lately, false)) {
            return &kept;
        }
    }
    return nullptr;
}

} // namespace vmm::block

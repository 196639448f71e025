// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/kept_grants.hpp"

#include <utility>

namespace vmm::block
{

std::byte* Kept_grants::find(grant_ref_t ref)
{
    if (ref < place_.size() && place_[ref] != kNowhere) {
        Kept& kept       = kept_[place_[ref]];
        kept.used_by     = request_;
        kept.used_lately = true;
        return kept.page.data();
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
    Mapped_pages page = grants_.map({&ref, 1});
    if (!page) {
        return nullptr;
    }
    if (place == nullptr) {
        place = &kept_.emplace_back();
    } else {
        place_[place->ref] = kNowhere;
    }
    *place = {ref, request_, true, std::move(page)};
    if (place_.size() <= ref) {
        place_.resize(ref + 1, kNowhere);
    }
    place_[ref] = static_cast<std::uint32_t>(place - kept_.data());
    return place->page.data();
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

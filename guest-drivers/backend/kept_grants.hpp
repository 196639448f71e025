// SPDX-License-Identifier: Apache-2.0
#pragma once
// The persistent grants of one frontend: pages stay mapped after the first request that names them, so that
// later ones cost no hypercall. At most `most` are kept; then those not used lately give way. Pages mapped
// together are unmapped together, so that up to twice as many may be mapped. A page that cannot be kept is
// the caller's to copy. [xen/include/public/io/blkif.h, "feature-persistent"]

#include "guest-drivers/backend/grants.hpp"

#include <memory>
#include <vector>

#include <xen/io/blkif.h>

namespace vmm::block
{

class Kept_grants
{
  public:
    Kept_grants(Grants& grants, std::size_t most) : grants_(grants), most_(most) {}

    // Between two calls pages that were found stay mapped.
    void begin_request() { ++request_; }
    // Maps those of a request's pages that are not yet, in one call, if there is room for all.
    void find_all(std::span<const blkif_request_segment> segments);
    // The page, mapped by now if that is possible; else nullptr.
    [[nodiscard]] std::byte* find(grant_ref_t ref);

    [[nodiscard]] std::size_t kept() const { return kept_.size(); }

  private:
    struct Kept {
        grant_ref_t ref;
        std::uint64_t used_by; // the last request that wanted it
        bool used_lately;
        std::byte* page;
        std::shared_ptr<Mapped_pages> mapping; // goes with the last of its pages
    };
    static constexpr std::uint32_t kNowhere  = ~0u;
    static constexpr grant_ref_t kHighestRef = 1u << 20; // above any grant table

    [[nodiscard]] bool is_kept(grant_ref_t ref) const
    {
        return ref < place_.size() && place_[ref] != kNowhere;
    }
    [[nodiscard]] std::byte* keep(grant_ref_t ref);
    void put(Kept& place, grant_ref_t ref, std::byte* page, const std::shared_ptr<Mapped_pages>& mapping);
    [[nodiscard]] Kept* give_way();

    Grants& grants_;
    std::size_t most_;
    std::vector<Kept> kept_;
    std::vector<std::uint32_t> place_; // by reference
    std::vector<grant_ref_t> missing_;
    std::size_t hand_      = 0;
    std::uint64_t request_ = 0;
};

} // namespace vmm::block

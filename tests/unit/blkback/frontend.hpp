// SPDX-License-Identifier: Apache-2.0
#pragma once
// A block frontend for tests, on the frontend's end of the ring that guests use: page 0 (and on) of the guest
// is the ring, the others are for data; the grant of a page has the page's number plus kFirstRef.

#include "fake_guest.hpp"
#include "guest-drivers/protocol/front_ring.hpp"

#include <xen/io/blkif.h>

#include <initializer_list>
#include <vector>

namespace vmm::block::test
{

class Frontend
{
  public:
    static constexpr grant_ref_t kFirstRef = 8;

    explicit Frontend(std::size_t pages, std::size_t ring_pages = 1)
        : guest(pages), ring(guest.page(0), ring_pages * kPageSize), ring_pages_(ring_pages)
    {
        for (std::size_t page = 0; page < pages; ++page) {
            guest.grant(ref(page), page);
        }
    }

    [[nodiscard]] static grant_ref_t ref(std::size_t page)
    {
        return kFirstRef + static_cast<grant_ref_t>(page);
    }
    [[nodiscard]] Mapped_pages map_ring()
    {
        std::vector<grant_ref_t> refs;
        for (std::size_t page = 0; page < ring_pages_; ++page) {
            refs.push_back(ref(page));
        }
        return guest.map(refs);
    }

    blkif_request& ask(std::uint8_t operation, std::uint64_t sector,
                       std::initializer_list<blkif_request_segment> segments = {})
    {
        blkif_request& request = ring.next();
        request                = {};
        request.operation      = operation;
        request.id             = ++last_id;
        request.sector_number  = sector;
        request.nr_segments    = static_cast<std::uint8_t>(segments.size());
        std::copy(segments.begin(), segments.end(), request.seg);
        return request;
    }
    // All answers that are there; an event is wanted for the next one.
    std::vector<blkif_response> answers()
    {
        std::vector<blkif_response> all;
        blkif_response response;
        do {
            while (ring.take(response)) {
                all.push_back(response);
            }
        } while (ring.rearm());
        return all;
    }

    Fake_guest guest;
    protocol::Front_ring<blkif_request, blkif_response> ring;
    std::uint64_t last_id = 0;

  private:
    std::size_t ring_pages_;
};

} // namespace vmm::block::test

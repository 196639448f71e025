// SPDX-License-Identifier: Apache-2.0
#include "toolstack/migrate/ring_drain.hpp"

#include <xen/grant_table.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

namespace vmm::migrate
{

namespace
{

using Clock = std::chrono::steady_clock;

constexpr auto kPatience     = std::chrono::seconds(10);
constexpr auto kBetweenLooks = std::chrono::milliseconds(1);

// The beginning of every shared ring.
struct Ring_indexes {
    std::uint32_t requests;
    std::uint32_t request_event;
    std::uint32_t answers;
    std::uint32_t answer_event;
};

// None: the guest has ended it, so nobody else has the page.
Result<std::optional<std::uint64_t>> frame_of(Build_control& control, Domid id, std::uint32_t grant)
{
    constexpr std::uint32_t kPerFrame = kPageSize / sizeof(grant_entry_v1);
    const Mapped_pages table          = TRY(control.map_grant_table(id, grant / kPerFrame));
    grant_entry_v1 entry{};
    std::memcpy(&entry, table.data() + grant % kPerFrame * sizeof entry, sizeof entry);
    const bool permits = (entry.flags & GTF_type_mask) == GTF_permit_access;
    return permits ? std::optional<std::uint64_t>(entry.frame) : std::nullopt;
}

bool is_answered(const std::byte* page)
{
    auto* const ring = reinterpret_cast<Ring_indexes*>(const_cast<std::byte*>(page));
    return std::atomic_ref(ring->requests).load() == std::atomic_ref(ring->answers).load();
}

} // namespace

Result<void> wait_for_answers(Build_control& control, Domid id, const std::vector<std::uint32_t>& grants)
{
    std::vector<std::uint64_t> frames;
    for (const std::uint32_t grant : grants) {
        if (const auto frame = TRY(frame_of(control, id, grant))) {
            frames.push_back(*frame);
        }
    }
    if (frames.empty()) {
        return {};
    }
    const Mapped_pages rings = TRY(control.map(id, frames));
    const auto limit         = Clock::now() + kPatience;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        while (!is_answered(rings.bytes().data() + i * kPageSize)) {
            if (Clock::now() > limit) {
                return fail(Errc::timed_out, "a disk of it has not answered all requests within " +
                                                 std::to_string(kPatience.count()) + " s");
            }
            std::this_thread::sleep_for(kBetweenLooks);
        }
    }
    return {};
}

} // namespace vmm::migrate

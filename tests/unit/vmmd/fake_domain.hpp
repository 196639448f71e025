// SPDX-License-Identifier: Apache-2.0
#pragma once
// A domain of the fake hypervisor: sparse guest memory, and what was set of it. The test owns all of it and
// may change what it likes.

#include "toolstack/xen/build_control.hpp"
#include "toolstack/xen/control.hpp"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <xen/arch-x86/hvm/start_info.h>

namespace vmm::test
{

inline constexpr std::size_t kGuestSpace = std::size_t{6} << 30;

struct Fake_domain {
    Domain_info info;
    Domain_shape shape; // as it was asked for
    std::shared_ptr<std::byte>
        space;                   // 6 GiB, used sparsely; views keep it, as they keep pages of a dead domain
    std::byte* memory = nullptr; // its start
    std::set<std::uint64_t> populated_2m;
    std::set<std::uint64_t> populated_4k;
    std::uint64_t claimed              = 0; // pages
    std::vector<std::byte> grant_table = std::vector<std::byte>(kPageSize);
    std::map<unsigned, std::uint64_t> params;
    std::vector<hvm_memmap_table_entry> memory_map;
    std::vector<std::byte> context;
    std::uint32_t next_port = 1;
    std::map<unsigned, Cpu_bits> affinity, soft_affinity;
    Scheduling scheduling{256, 0};
    std::int64_t time_offset = 0; // seconds
    cpu::Cpu_policy cpu_policy;
    bool logs_writes = false;
    std::set<std::uint64_t> written;        // frames a test says were, since the log was last taken
    std::function<void()> before_log_taken; // what the guest does until then, on whatever thread
    std::shared_ptr<unsigned> views = std::make_shared<unsigned>(0); // mapped and not yet unmapped

    Fake_domain();
    Fake_domain(const Fake_domain&)            = delete;
    Fake_domain& operator=(const Fake_domain&) = delete;

    [[nodiscard]] bool has(std::uint64_t frame) const;
    void release(std::uint64_t frame);
    [[nodiscard]] std::uint64_t pages() const { return populated_2m.size() * 512 + populated_4k.size(); }
    // Where the frames are shown. Consecutive ones are shown in place, so that a ring is shared; others by a
    // copy that is written back at the end.
    [[nodiscard]] Mapped_pages view(std::span<const std::uint64_t> frames);
    // A copy that cannot be written, in which frames without memory cannot be touched.
    [[nodiscard]] Mapped_pages view_present(std::span<const std::uint64_t> frames,
                                            const std::vector<bool>& present);
    [[nodiscard]] std::vector<std::byte> read(std::uint64_t address, std::size_t size) const;
};

} // namespace vmm::test

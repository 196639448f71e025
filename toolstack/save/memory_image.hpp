// SPDX-License-Identifier: Apache-2.0
#pragma once
// The memory of a suspended domain to a file and back. Both work through Build_control on whatever thread
// calls them, touch nothing else, and may take long. Progress: writing, the pages are those of the layout;
// reading, those of the file.

#include "toolstack/base/error.hpp"
#include "toolstack/base/progress.hpp"
#include "toolstack/build/layout.hpp"
#include "toolstack/save/image_file.hpp"
#include "toolstack/xen/build_control.hpp"

#include <cstdint>
#include <vector>

namespace vmm::save
{

struct Frame_range {
    std::uint64_t first;
    std::uint64_t count;
};

// Where a domain of this layout has memory, in ascending order.
[[nodiscard]] std::vector<Frame_range> ranges_of(const Guest_layout& layout);

// Whether domains have memory there at all. How much RAM one has at most is not told by it.
[[nodiscard]] bool can_have_memory(std::uint64_t first, std::uint64_t count);

struct Memory_counts {
    std::uint64_t present = 0; // frames that had memory behind them
    std::uint64_t zero    = 0; // of these, how many cost nothing
};

// Writes all frames of `layout` that have memory. The domain must not run.
[[nodiscard]] Result<Memory_counts> write_memory(Build_control& build, Domid id, const Guest_layout& layout,
                                                 Image_writer& out, const Progress& progress);

// Gives `id`, which has no memory yet, exactly the frames that were saved, with their contents. Reads up to
// the first record that is not memory, which stays to be read. A file that holds more than `limit` frames, or
// frames where no domain has memory, is refused as corrupted.
[[nodiscard]] Result<Memory_counts> read_memory(Build_control& build, Domid id, Image_reader& in,
                                                std::uint64_t limit, const Progress& progress);

} // namespace vmm::save

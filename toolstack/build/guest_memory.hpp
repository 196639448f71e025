// SPDX-License-Identifier: Apache-2.0
#pragma once
// The memory of one domain under construction, new or restored: gives it frames and writes into them. Writing
// is gathered: put() only notes what goes where, flush() maps as many frames at once as make a window and
// copies. Mapping a frame costs far more than copying it, so nothing is mapped that need not be written.

#include "toolstack/base/error.hpp"
#include "toolstack/base/progress.hpp"
#include "toolstack/build/byte_view.hpp"
#include "toolstack/build/layout.hpp"
#include "toolstack/xen/build_control.hpp"

#include <cstdint>
#include <vector>

namespace vmm
{

class Guest_memory
{
  public:
    Guest_memory(Build_control& build, Domid id) : build_(build), id_(id) {}

    // RAM in 2 MiB extents where there are any, ring pages and ACPI pages.
    [[nodiscard]] Result<void> populate(const Guest_layout& layout, const Progress& progress);

    // The parts of it: addresses of whole pages, 2 MiB extents from `begin` on if that is a multiple of 2
    // MiB.
    [[nodiscard]] Result<void> populate_range(std::uint64_t begin, std::uint64_t end);
    [[nodiscard]] Result<void> populate_frames(const std::vector<std::uint64_t>& frames);

    // `bytes` must stay where they are until flush().
    [[nodiscard]] Result<void> put(std::uint64_t address, Byte_view bytes);
    [[nodiscard]] Result<void> flush();
    // Zeros, at once: for what must be zero whatever fresh memory holds.
    [[nodiscard]] Result<void> clear(std::uint64_t address, std::uint64_t size);

    // Whether the hypervisor gives memory that is zero. All do that are built for use; one built for
    // debugging may fill it with a pattern instead. Told by a look at a frame that nothing has been written
    // to.
    [[nodiscard]] Result<bool> is_fresh_memory_zero(Gfn untouched);

  private:
    // Frames mapped at once; dom0 needs as many free ones for the view.
    static constexpr std::size_t kWindowPages = 2048;

    struct Piece {
        std::size_t window_offset = 0;
        Byte_view bytes;
    };

    Build_control& build_;
    Domid id_;
    std::vector<std::uint64_t> frames_; // of the window being gathered
    std::vector<Piece> pieces_;
};

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#pragma once
// The other side of memory_sender.hpp: gives a new domain its memory, frame by frame as it is told, and
// writes into it what comes. What no sender would say is refused, and so is more memory than the domain may
// have.

#include "toolstack/build/guest_memory.hpp"
#include "toolstack/save/image_file.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace vmm::migrate
{

class Memory_receiver
{
  public:
    Memory_receiver(Build_control& control, Domid id, const Guest_layout& layout, save::Image_reader& in);

    // One of the records about memory.
    [[nodiscard]] Result<void> take(const save::Record& record);
    // What was taken is in the domain's memory.
    [[nodiscard]] Result<void> flush();
    [[nodiscard]] std::uint64_t present() const { return present_; } // frames with memory

  private:
    Result<void> check(const save::Record& record) const;
    Result<void> add(const save::Record& record);
    Result<void> drop(const save::Record& record);
    Result<void> write(std::uint64_t first, Byte_view contents);
    Result<void> clear(std::uint64_t first, std::uint64_t count);
    Result<void> clear_new(std::uint64_t first, std::uint64_t count);

    Build_control& control_;
    Domid id_;
    save::Image_reader& in_;
    std::uint64_t limit_;
    Guest_memory memory_;
    std::vector<bool> there_;
    std::uint64_t present_ = 0;
    std::optional<bool> fresh_is_zero_;
    std::unique_ptr<std::byte[]> gathered_; // contents until there are enough to be worth a view
    std::size_t used_ = 0;
};

} // namespace vmm::migrate

// SPDX-License-Identifier: Apache-2.0
//
// The firmware's memory map [UEFI 7.2, GetMemoryMap], and what of it is RAM once the boot services have
// ended: theirs, and what a loader was given, is then free, too. Neighbours of one kind become one region,
// for firmware's maps are finely divided. Who needs to know more is handed the firmware's own map as well.
#pragma once

#include "efi/information.hpp"

namespace vmm::efi
{

class Memory_map
{
  public:
    // `stride`: from one descriptor to the next; firmware may have longer ones than we know.
    Memory_map(std::span<const u8> descriptors, std::size_t stride)
        : descriptors_(descriptors), stride_(stride)
    {
    }

    void describe(Information& to) const;
    // Whether [start, end) will be RAM, all of it.
    [[nodiscard]] bool is_ram(u64 start, u64 end) const;

  private:
    template <class Visitor>
    void for_each_region(Visitor visit) const;

    std::span<const u8> descriptors_;
    std::size_t stride_;
};

} // namespace vmm::efi

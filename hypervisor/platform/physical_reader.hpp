// SPDX-License-Identifier: Apache-2.0
//
// How parsers of what the firmware and the boot loader left in memory reach it: they copy out, through this,
// and never hold a pointer into it. The machine's implementation reads the direct map; tests have bytes of
// their own, with holes.
#pragma once

#include "base/types.hpp"

#include <span>
#include <type_traits>

namespace vmm
{

class Physical_reader
{
  public:
    // False when any byte is not readable; `to` is then unspecified.
    virtual bool read(Hpa from, std::span<u8> to) const = 0;

    template <class T>
    bool read_object(Hpa from, T& to) const
    {
        static_assert(std::is_trivially_copyable_v<T>);
        return read(from, std::span<u8>(reinterpret_cast<u8*>(&to), sizeof to));
    }

  protected:
    constexpr Physical_reader() = default;
    ~Physical_reader()          = default;
};

} // namespace vmm

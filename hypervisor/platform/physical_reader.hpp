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

// Bytes that belong together: a table, a record inside it, a tag of the boot loader. Every access is checked
// against their number; what is outside is not readable.
class Physical_bytes
{
  public:
    Physical_bytes(const Physical_reader& memory, Hpa at, u32 size) : memory_(memory), at_(at), size_(size) {}

    [[nodiscard]] u32 size() const { return size_; }
    [[nodiscard]] bool has(u32 offset, u64 size) const { return offset <= size_ && size <= size_ - offset; }

    bool read(u32 offset, std::span<u8> to) const
    {
        return has(offset, to.size()) && memory_.read(at_ + offset, to);
    }
    template <class T>
    bool read_object(u32 offset, T& to) const
    {
        return has(offset, sizeof to) && memory_.read_object(at_ + offset, to);
    }
    // The value at `offset`, or `otherwise` where there is none.
    template <class T>
    T get(u32 offset, T otherwise = {}) const
    {
        T value{};
        return read_object(offset, value) ? value : otherwise;
    }
    [[nodiscard]] Physical_bytes part(u32 offset, u32 size) const
    {
        return {memory_, at_ + offset, has(offset, size) ? size : 0};
    }

  private:
    const Physical_reader& memory_;
    Hpa at_;
    u32 size_;
};

} // namespace vmm

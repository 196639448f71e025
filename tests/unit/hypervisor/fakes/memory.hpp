// SPDX-License-Identifier: Apache-2.0
//
// A small machine's memory for tests: while it lives, the direct map is an arena of the host and the global
// frame allocator manages it. Frame 0 is never free, as on a PC. Afterwards everything has to be free again:
// all_free() says so.
#pragma once

#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"

#include <cstring>
#include <functional>

namespace vmm::fakes
{

// Called where CPUs would be made to leave their guests; no thread of a test is in one.
inline std::function<void(u64 cpus)> on_make_leave_guest;

class Memory
{
  public:
    explicit Memory(u64 frame_count, bool scrubbed = true);
    ~Memory();
    Memory(const Memory&)            = delete;
    Memory& operator=(const Memory&) = delete;

    [[nodiscard]] bool all_free() const { return frames.free_count() == frames.total_count(); }
    [[nodiscard]] bool is_zero(Mfn mfn, unsigned order = 0) const;
    void dirty(Mfn mfn, unsigned order = 0) { std::memset(to_virtual(mfn), 0xa5, kPageSize << order); }

  private:
    void* arena_;
    void* table_;
    u64 bytes_;
    std::uintptr_t old_base_;
};

} // namespace vmm::fakes

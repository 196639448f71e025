// SPDX-License-Identifier: Apache-2.0
//
// A page of a guest's own memory that the hypervisor keeps using after the call that named it. It is held,
// so it stays the same frame whatever the guest does to its map; it is let go with the object. What is
// read from it may change between any two reads.
#pragma once

#include "base/expected.hpp"
#include "mm/direct_map.hpp"

namespace vmm
{

class P2m;

class Shared_page
{
  public:
    // Einval unless `gfn` is memory of the domain that it may write. It counts as written.
    static Expected<Shared_page> hold(P2m& p2m, Gfn gfn);

    Shared_page() = default;
    Shared_page(Shared_page&& other) noexcept : mfn_(std::exchange(other.mfn_, kInvalidMfn)) {}
    Shared_page& operator=(Shared_page&& other) noexcept
    {
        std::swap(mfn_, other.mfn_);
        return *this;
    }
    ~Shared_page();

    explicit operator bool() const { return mfn_ != kInvalidMfn; }

    template <class T>
    [[nodiscard]] T* at(u64 offset) const
    {
        return reinterpret_cast<T*>(to_virtual<u8>(mfn_) + offset);
    }

  private:
    explicit Shared_page(Mfn mfn) : mfn_(mfn) {}

    Mfn mfn_ = kInvalidMfn;
};

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
//
// Ref<T>: a counted hold on an object that may be removed from its table while somebody still uses it.
// T supplies bool try_hold() (false once the last hold is gone) and void drop(), or is a Counted<T>.
#pragma once

#include "base/types.hpp"

#include <atomic>
#include <utility>

namespace vmm
{

// Begins with one hold, its creator's; the last one deletes it.
template <class T>
class Counted
{
  public:
    bool try_hold()
    {
        u32 count = holds_.load(std::memory_order_relaxed);
        while (count != 0) {
            if (holds_.compare_exchange_weak(count, count + 1, std::memory_order_acquire))
                return true;
        }
        return false;
    }
    void drop()
    {
        if (holds_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete static_cast<T*>(this);
    }

  private:
    friend T; // nobody else is one
    Counted() = default;

    std::atomic<u32> holds_{1};
};

template <class T>
class Ref
{
  public:
    constexpr Ref() = default;
    // Takes over a hold the caller already has.
    constexpr explicit Ref(T* held) : object_(held) {}
    Ref(const Ref&)            = delete;
    Ref& operator=(const Ref&) = delete;
    constexpr Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    constexpr Ref& operator=(Ref&& other) noexcept
    {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Ref()
    {
        if (object_)
            object_->drop();
    }

    static Ref hold(T& object) { return object.try_hold() ? Ref(&object) : Ref(); }

    constexpr T* get() const { return object_; }
    constexpr T* operator->() const { return object_; }
    constexpr T& operator*() const { return *object_; }
    constexpr explicit operator bool() const { return object_ != nullptr; }

  private:
    T* object_ = nullptr;
};

} // namespace vmm

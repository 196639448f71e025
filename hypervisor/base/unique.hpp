// SPDX-License-Identifier: Apache-2.0
//
// Unique<T>: sole ownership of a heap object. make_unique() is the only way to create one and tells
// when memory is short; a constructor cannot fail, so fallible set-up goes into a static create().
#pragma once

#include "base/expected.hpp"

namespace vmm
{

template <class T>
class Unique
{
  public:
    constexpr Unique() = default;
    constexpr explicit Unique(T* owned) : object_(owned) {}
    Unique(const Unique&)            = delete;
    Unique& operator=(const Unique&) = delete;
    constexpr Unique(Unique&& other) noexcept : object_(other.release()) {}
    template <class U>
    requires std::is_convertible_v<U*, T*>
    constexpr Unique(Unique<U>&& other) noexcept : object_(other.release()) {}
    constexpr Unique& operator=(Unique&& other) noexcept
    {
        if (this != &other)
            reset(other.release());
        return *this;
    }
    constexpr ~Unique() { delete object_; }

    constexpr T* get() const { return object_; }
    constexpr T* operator->() const { return object_; }
    constexpr T& operator*() const { return *object_; }
    constexpr explicit operator bool() const { return object_ != nullptr; }
    constexpr T* release() { return std::exchange(object_, nullptr); }
    constexpr void reset(T* owned = nullptr) { delete std::exchange(object_, owned); }

  private:
    T* object_ = nullptr;
};

template <class T, class... Args>
Expected<Unique<T>> make_unique(Args&&... args)
{
    T* object = new (std::nothrow) T(std::forward<Args>(args)...);
    if (!object)
        return fail(Errc::enomem);
    return Unique<T>(object);
}

} // namespace vmm

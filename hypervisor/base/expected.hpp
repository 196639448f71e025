// SPDX-License-Identifier: Apache-2.0
//
// Expected<T>: a value or the reason why there is none. The reason is one of Xen's error numbers
// (public/errno.h), so that it needs no translation at the hypercall edge, where it is returned negated.
// Not an exception and never ignored silently: the type is [[nodiscard]].
#pragma once

#include "base/types.hpp"

#include <new>
#include <type_traits>
#include <utility>

#include <xen/errno.h>

namespace vmm
{

enum class Errc : s32 {
    eperm      = XEN_EPERM,
    enoent     = XEN_ENOENT,
    esrch      = XEN_ESRCH,
    eio        = XEN_EIO,
    enxio      = XEN_ENXIO,
    e2big      = XEN_E2BIG,
    enoexec    = XEN_ENOEXEC,
    enomem     = XEN_ENOMEM,
    eacces     = XEN_EACCES,
    efault     = XEN_EFAULT,
    ebusy      = XEN_EBUSY,
    eexist     = XEN_EEXIST,
    enodev     = XEN_ENODEV,
    einval     = XEN_EINVAL,
    enospc     = XEN_ENOSPC,
    erange     = XEN_ERANGE,
    enosys     = XEN_ENOSYS,
    enodata    = XEN_ENODATA,
    eopnotsupp = XEN_EOPNOTSUPP,
    enobufs    = XEN_ENOBUFS,
    eoverflow  = 75,
    erestart   = 85, // continue by re-executing the hypercall; never reaches a guest
};

class Unexpected
{
  public:
    constexpr explicit Unexpected(Errc e) : error_(e) {}
    [[nodiscard]] constexpr Errc error() const { return error_; }

  private:
    Errc error_;
};

constexpr Unexpected fail(Errc e) { return Unexpected(e); }

// Of plain values it is plain, so that it is returned in registers.
template <class T>
class [[nodiscard]] Expected
{
    static constexpr bool kPlain = std::is_trivially_copyable_v<T>;

  public:
    constexpr Expected(const T& value) : ok_(true), value_(value) {}
    constexpr Expected(T&& value) : ok_(true), value_(std::move(value)) {}
    constexpr Expected(Unexpected e) : ok_(false), error_(e.error()) {}
    constexpr Expected(Expected&&) noexcept requires kPlain = default;
    constexpr Expected(Expected&& other) noexcept requires(!kPlain) : ok_(other.ok_)
    {
        if (ok_)
            ::new (&value_) T(std::move(other.value_));
        else
            error_ = other.error_;
    }
    Expected(const Expected&)             = delete;
    Expected& operator=(const Expected&)  = delete;
    Expected& operator=(Expected&&)       = delete;
    constexpr ~Expected() requires kPlain = default;
    constexpr ~Expected() requires(!kPlain)
    {
        if (ok_)
            value_.~T();
    }

    [[nodiscard]] constexpr explicit operator bool() const { return ok_; }
    [[nodiscard]] constexpr bool has_value() const { return ok_; }
    [[nodiscard]] constexpr Errc error() const { return error_; }
    [[nodiscard]] constexpr T& value() & { return value_; }
    // What TRY hands on, move-only or not.
    [[nodiscard]] constexpr T&& value() && { return std::move(value_); }
    [[nodiscard]] constexpr const T& value() const& { return value_; }
    [[nodiscard]] constexpr T& operator*() { return value_; }
    [[nodiscard]] constexpr const T& operator*() const { return value_; }
    constexpr T* operator->() { return &value_; }
    constexpr const T* operator->() const { return &value_; }
    [[nodiscard]] constexpr T value_or(T other) const { return ok_ ? value_ : other; }

  private:
    bool ok_;
    union {
        T value_;
        Errc error_;
    };
};

template <>
class [[nodiscard]] Expected<void>
{
  public:
    constexpr Expected() = default;
    constexpr Expected(Unexpected e) : error_(e.error()) {}

    [[nodiscard]] constexpr explicit operator bool() const { return has_value(); }
    [[nodiscard]] constexpr bool has_value() const { return error_ == kNone; }
    [[nodiscard]] constexpr Errc error() const { return error_; }
    constexpr void value() const {}

  private:
    static constexpr Errc kNone{};
    Errc error_ = kNone;
};

} // namespace vmm

// Evaluates to the value of an Expected, or returns its error from the enclosing function.
#define TRY(expression)                                                                                      \
    ({                                                                                                       \
        auto try_result_ = (expression);                                                                     \
        if (!try_result_) [[unlikely]]                                                                       \
            return ::vmm::fail(try_result_.error());                                                         \
        std::move(try_result_).value();                                                                      \
    })

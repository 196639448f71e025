// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sole owner of a view of pages that belong to a domain; unmaps them when it goes. The domain may change the
// contents at any moment while it runs: copy once, then check.

#include <cstddef>
#include <functional>
#include <span>
#include <utility>

namespace vmm
{

class Mapped_pages
{
  public:
    using Unmap = std::function<void(std::span<std::byte>)>;

    Mapped_pages() = default;
    Mapped_pages(std::span<std::byte> bytes, Unmap unmap) : bytes_(bytes), unmap_(std::move(unmap)) {}
    Mapped_pages(Mapped_pages&& other) noexcept
        : bytes_(std::exchange(other.bytes_, {})), unmap_(std::exchange(other.unmap_, nullptr))
    {
    }
    Mapped_pages& operator=(Mapped_pages&& other) noexcept
    {
        if (this != &other) {
            reset();
            bytes_ = std::exchange(other.bytes_, {});
            unmap_ = std::exchange(other.unmap_, nullptr);
        }
        return *this;
    }
    Mapped_pages(const Mapped_pages&)            = delete;
    Mapped_pages& operator=(const Mapped_pages&) = delete;
    ~Mapped_pages() { reset(); }

    [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
    [[nodiscard]] std::byte* data() const { return bytes_.data(); }
    [[nodiscard]] explicit operator bool() const { return !bytes_.empty(); }

    void reset()
    {
        if (unmap_) {
            std::exchange(unmap_, nullptr)(std::exchange(bytes_, {}));
        }
    }

  private:
    std::span<std::byte> bytes_;
    Unmap unmap_;
};

} // namespace vmm

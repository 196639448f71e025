// SPDX-License-Identifier: Apache-2.0
#pragma once
// The memory that data passes through between a frontend's pages and the disk: page-aligned pieces of dom0's
// own memory, so that a device may write into them and no guest sees what is half done. One arena of fixed
// size, handed out in powers of two of pages; when all of it is free again it is cut anew. Not thread safe.

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace vmm::block
{

class Buffer_pool
{
  public:
    // `size` is a multiple of the largest piece.
    explicit Buffer_pool(std::size_t size);
    Buffer_pool(const Buffer_pool&)            = delete;
    Buffer_pool& operator=(const Buffer_pool&) = delete;
    ~Buffer_pool();

    static constexpr std::size_t kLargest = std::size_t{1} << 20;

    [[nodiscard]] std::span<std::byte> memory() const { return {arena_, size_}; }

    // At least `length` bytes, at most kLargest; empty when there is nothing left.
    [[nodiscard]] std::span<std::byte> take(std::size_t length);
    void give_back(std::span<std::byte> piece);

  private:
    static constexpr unsigned kSizes = 9; // 4 KiB ... 1 MiB
    [[nodiscard]] static unsigned size_class(std::size_t length);

    std::byte* arena_;
    std::size_t size_;
    std::size_t cut_ = 0; // bytes of the arena that are in pieces
    std::size_t out_ = 0; // pieces handed out
    bool dry_        = false;
    std::array<std::vector<std::byte*>, kSizes> free_;
};

} // namespace vmm::block

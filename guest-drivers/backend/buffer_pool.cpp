// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/buffer_pool.hpp"

#include "toolstack/xen/types.hpp"

#include <sys/mman.h>

#include <bit>
#include <new>

namespace vmm::block
{

Buffer_pool::Buffer_pool(std::size_t size) : size_(size)
{
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::bad_alloc();
    }
    arena_ = static_cast<std::byte*>(memory);
}

Buffer_pool::~Buffer_pool() { munmap(arena_, size_); }

unsigned Buffer_pool::size_class(std::size_t length)
{
    return static_cast<unsigned>(std::bit_width((length - 1) / kPageSize));
}

std::span<std::byte> Buffer_pool::take(std::size_t length)
{
    const unsigned which    = size_class(length);
    const std::size_t bytes = kPageSize << which;
    if (dry_ && out_ > 0) {
        return {};
    }
    if (dry_) {
        dry_ = false;
        cut_ = 0;
        for (auto& list : free_) {
            list.clear();
        }
    }
    std::byte* piece = nullptr;
    if (!free_[which].empty()) {
        piece = free_[which].back();
        free_[which].pop_back();
    } else if (cut_ + bytes <= size_) {
        piece = arena_ + cut_;
        cut_ += bytes;
    } else {
        dry_ = true;
        return out_ > 0 ? std::span<std::byte>() : take(length);
    }
    ++out_;
    return {piece, bytes};
}

void Buffer_pool::give_back(std::span<std::byte> piece)
{
    free_[size_class(piece.size())].push_back(piece.data());
    --out_;
}

} // namespace vmm::block

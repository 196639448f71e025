// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sole owner of one large block of bytes: a kernel file, an unpacked kernel, an initrd. It comes from mmap
// with huge pages asked for, because these blocks are tens of MiB, short-lived and touched once: that makes
// faults rare and gives the memory back at once. The size is fixed; what has not been written reads as zero.

#include "toolstack/base/error.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace vmm
{

class Image_bytes
{
  public:
    [[nodiscard]] static Result<Image_bytes> allocate(std::size_t size);
    // The whole of a regular file of at most `limit` bytes; `what` ("kernel") begins the error message.
    [[nodiscard]] static Result<Image_bytes> read_file(const std::string& path, std::size_t limit,
                                                       const std::string& what);

    Image_bytes() = default;
    Image_bytes(Image_bytes&& other) noexcept;
    Image_bytes& operator=(Image_bytes&& other) noexcept;
    Image_bytes(const Image_bytes&)            = delete;
    Image_bytes& operator=(const Image_bytes&) = delete;
    ~Image_bytes();

    [[nodiscard]] std::span<std::byte> bytes() { return {data_, size_}; }
    [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    Image_bytes(std::byte* data, std::size_t size) : data_(data), size_(size) {}

    std::byte* data_  = nullptr;
    std::size_t size_ = 0;
};

} // namespace vmm

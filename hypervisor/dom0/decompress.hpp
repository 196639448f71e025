// SPDX-License-Identifier: Apache-2.0
//
// Unpacks the payload of a Linux kernel image: XZ, zstd, LZ4 (legacy frame) or gzip, told apart by their
// first bytes. The decoders are those of liblzma, libzstd, liblz4 and zlib, linked in; this is the part that
// feeds them. Input is a file somebody gave us: anything may be wrong with it, and then the answer is an
// error. Boot time only: the libraries use the FPU, which belongs to no guest yet.
#pragma once

#include "base/expected.hpp"

#include <span>
#include <string_view>

namespace vmm
{

// One of the four ways.
struct Packing {
    std::string_view name;
    std::string_view magic; // what a payload starts with
    u64 trailer;            // bytes after it that are not part of it
    Expected<void> (*unpack)(std::span<const u8> in, std::span<u8> out);
};

// Nullptr for none of them.
[[nodiscard]] const Packing* find_packing(std::span<const u8> payload);

// What a kernel's payload says of its unpacked size, in its last four bytes. Einval when too short.
Expected<u64> unpacked_size(std::span<const u8> payload);

// Unpacks into `out`, whose size must be exactly that of the result. Einval: corrupt or not that size;
// enomem: the decoder got no memory; eopnotsupp: not compressed with any of the four.
Expected<void> decompress(std::span<const u8> payload, std::span<u8> out);

// What the libraries expect of their surroundings (FS base, FPU), while one exists.
class Library_scope
{
  public:
    Library_scope();
    ~Library_scope();
    Library_scope(const Library_scope&)            = delete;
    Library_scope& operator=(const Library_scope&) = delete;

  private:
    u64 saved_fs_base_;
};

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels ready to load: read, unpacked and parsed. The last ones used are kept, because domains come in
// series with the same kernel and unpacking is most of the cost of making one. A file that changed is read
// again (device, inode, size and modification time tell). Memory is bounded: at most two kernels, at most
// kKeepBytes in all.

#include "toolstack/base/error.hpp"
#include "toolstack/build/elf_image.hpp"
#include "toolstack/build/image_bytes.hpp"

#include <cstdint>
#include <list>
#include <memory>
#include <string>

namespace vmm
{

struct Kernel_image {
    Image_bytes file; // the ELF file
    Elf_image elf;
    std::vector<Elf_run> runs;
};

// A kernel from a file's contents: a bzImage or a plain ELF file. The message does not name the file.
[[nodiscard]] Result<Kernel_image> open_kernel(Image_bytes file);

// What get() fails with for a file that can be read but is no kernel that can start here.
inline constexpr Errc kBadKernel = Errc(ENOEXEC);

class Kernel_cache
{
  public:
    [[nodiscard]] Result<std::shared_ptr<const Kernel_image>> get(const std::string& path);
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    [[nodiscard]] std::size_t hits() const { return hits_; }

  private:
    static constexpr std::size_t kKeepImages = 2;
    static constexpr std::size_t kKeepBytes  = 256U << 20;

    struct Key {
        std::uint64_t device              = 0;
        std::uint64_t inode               = 0;
        std::int64_t size                 = 0;
        std::int64_t seconds              = 0;
        std::int64_t nanoseconds          = 0;
        bool operator==(const Key&) const = default;
    };
    struct Entry {
        Key key;
        std::shared_ptr<const Kernel_image> image;
    };

    static Result<Key> key_of(const std::string& path);
    void keep(const Key& key, std::shared_ptr<const Kernel_image> image);

    std::list<Entry> entries_; // last used first
    std::size_t hits_ = 0;
};

} // namespace vmm

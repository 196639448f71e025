// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/kernel_cache.hpp"

#include "toolstack/build/bzimage.hpp"

#include <sys/stat.h>

#include <algorithm>

namespace vmm
{

Result<Kernel_image> open_kernel(Image_bytes file)
{
    if (is_bzimage(std::as_const(file).bytes())) {
        file = TRY(unpack_bzimage(std::as_const(file).bytes()));
    }
    if (!is_elf(std::as_const(file).bytes())) {
        return fail(Errc::invalid, "it is neither a bzImage nor an ELF file");
    }
    Elf_image elf = TRY(parse_elf(std::as_const(file).bytes()));
    auto runs     = find_runs(std::as_const(file).bytes(), elf);
    return Kernel_image{std::move(file), std::move(elf), std::move(runs)};
}

Result<Kernel_cache::Key> Kernel_cache::key_of(const std::string& path)
{
    struct stat status {
    };
    if (stat(path.c_str(), &status) < 0) {
        return fail_errno("kernel " + path);
    }
    return Key{status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

Result<std::shared_ptr<const Kernel_image>> Kernel_cache::get(const std::string& path)
{
    const Key key = TRY(key_of(path));
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
    if (found != entries_.end()) {
        entries_.splice(entries_.begin(), entries_, found);
        ++hits_;
        return entries_.front().image;
    }
    Image_bytes file = TRY(Image_bytes::read_file(path, kMaxKernelBytes, "kernel"));
    auto opened      = open_kernel(std::move(file));
    if (!opened) {
        return fail(kBadKernel, "kernel " + path + ": " + opened.error().message);
    }
    auto image = std::make_shared<const Kernel_image>(std::move(*opened));
    keep(key, image);
    return image;
}

void Kernel_cache::keep(const Key& key, std::shared_ptr<const Kernel_image> image)
{
    if (image->file.size() > kKeepBytes) {
        return;
    }
    entries_.push_front({key, std::move(image)});
    std::size_t total = 0;
    std::size_t count = 0;
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
        total += entry->image->file.size();
        if (++count > kKeepImages || total > kKeepBytes) {
            entries_.erase(entry, entries_.end());
            return;
        }
    }
}

} // namespace vmm

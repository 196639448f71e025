// SPDX-License-Identifier: Apache-2.0
#include "dom0/kernel.hpp"

#include "base/string.hpp"
#include "debug/log.hpp"
#include "debug/panic.hpp"
#include "dom0/decompress.hpp"
#include "dom0/kernel_file.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/heap.hpp"

namespace vmm
{
namespace
{

constexpr u64 kMaxUnpacked = kGiB;

Kernel_file open_or_refuse(std::span<const u8> file)
{
    const auto kernel = open_kernel(file);
    if (kernel)
        return *kernel;
    switch (kernel.error()) {
    case Errc::enoexec: refuse("the first module is not a Linux kernel (neither bzImage nor ELF)");
    case Errc::eopnotsupp: refuse("dom0's kernel is older than Linux 2.6.26 (boot protocol below 2.08)");
    default:
        refuse("dom0's kernel is cut short: its payload lies outside the file of {} KiB", file.size() / kKiB);
    }
}

u64 free_mib() { return (frames.free_count() << kPageShift) / kMiB; }

std::span<u8> allocate_or_refuse(u64 size, std::string_view purpose)
{
    auto* const buffer = static_cast<u8*>(heap::allocate(size));
    if (!buffer)
        refuse("too little memory {} dom0's kernel: {} MiB in one piece needed, {} MiB free in all "
               "(give dom0 less with dom0_mem=)",
               purpose, size / kMiB + 1, free_mib());
    return {buffer, size};
}

// An ELF image that was not packed is copied too: where its module lies becomes dom0's memory.
std::span<u8> copy_or_refuse(std::span<const u8> file)
{
    const auto out = allocate_or_refuse(file.size(), "for");
    bytes::copy(out.data(), file.data(), file.size());
    return out;
}

std::span<u8> unpack_or_refuse(std::span<const u8> payload)
{
    const Packing* packing = find_packing(payload);
    if (!packing)
        refuse("dom0's kernel is compressed with something other than XZ, zstd, LZ4 or gzip");
    const auto size = unpacked_size(payload);
    if (!size || *size == 0 || *size > kMaxUnpacked)
        refuse("dom0's kernel is corrupt: its unpacked size makes no sense");
    const auto out  = allocate_or_refuse(*size, "to unpack");
    const auto done = decompress(payload, out);
    if (!done && done.error() == Errc::enomem)
        refuse("too little memory to unpack dom0's kernel ({}): {} MiB free (give dom0 less with dom0_mem=)",
               packing->name, free_mib());
    if (!done)
        refuse("dom0's kernel is corrupt: its {} payload does not unpack", packing->name);
    log::info("dom0: kernel unpacked ({}, {} KiB to {} KiB)", packing->name, payload.size() / kKiB,
              *size / kKiB);
    return out;
}

Elf_image read_or_refuse(std::span<const u8> file)
{
    const auto image = read_elf(file);
    if (image)
        return *image;
    switch (image.error()) {
    case Errc::enodata:
        refuse("dom0's kernel has no PVH entry point: it was built without CONFIG_PVH (or CONFIG_XEN_PVH)");
    case Errc::enoexec: refuse("dom0's kernel is not an x86 ELF image");
    default: refuse("dom0's kernel is corrupt: its ELF headers point outside the file");
    }
}

} // namespace

Dom0_kernel::Dom0_kernel(const Boot_module& module)
{
    const std::span<const u8> file(to_virtual<const u8>(module.start), module.size());
    const Kernel_file kernel = open_or_refuse(file);
    unpacked_                = kernel.packed ? unpack_or_refuse(kernel.image) : copy_or_refuse(kernel.image);
    image_                   = read_or_refuse(unpacked_);
}

Dom0_kernel::~Dom0_kernel() { heap::release(unpacked_.data()); }

} // namespace vmm

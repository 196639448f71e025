// SPDX-License-Identifier: Apache-2.0
#include "efi/information.hpp"

#include "base/bits.hpp"
#include "base/string.hpp"

namespace vmm::efi
{
namespace
{

using enum Multiboot2_tag;

constexpr std::size_t kOldRsdp = 20; // of ACPI 1.0

struct Map_entry {
    u64 address, length;
    u32 type, reserved;
};

} // namespace

void Information::put(const void* from, std::size_t size)
{
    full_ |= size > to_.size() - used_;
    if (full_)
        return;
    bytes::copy(to_.data() + used_, from, size);
    used_ += size;
}

void Information::begin_tag(Multiboot2_tag type)
{
    constexpr u8 padding[8] = {};
    put(padding, align_up(used_, 8) - used_);
    tag_ = used_;
    put(type);
    put(u32{0}); // its size, when that is known
}

void Information::end_tag()
{
    if (!full_)
        bytes::store(to_.data() + tag_ + sizeof(u32), static_cast<u32>(used_ - tag_));
}

void Information::add_text(Multiboot2_tag type, std::string_view text)
{
    begin_tag(type);
    put(text.data(), text.size());
    put('\0');
    end_tag();
}

void Information::add_command_line(std::string_view text) { add_text(command_line, text); }

void Information::add_loader_name(std::string_view text) { add_text(loader_name, text); }

void Information::add_module(u64 start, u64 size, std::string_view text)
{
    begin_tag(module);
    put(static_cast<u32>(start));
    put(static_cast<u32>(start + size));
    put(text.data(), text.size());
    put('\0');
    end_tag();
}

void Information::begin_memory_map()
{
    begin_tag(memory_map);
    put(static_cast<u32>(sizeof(Map_entry)));
    put(u32{0}); // of this version
}

void Information::add_memory(const Memory_region& region)
{
    put(Map_entry{region.start.value(), region.size, static_cast<u32>(region.type), 0});
}

void Information::add_framebuffer(const Framebuffer& screen)
{
    begin_tag(framebuffer);
    put(&screen, offsetof(Framebuffer, red_position));
    put(u16{0});
    put(&screen.red_position, 6);
    end_tag();
}

void Information::add_rsdp(std::span<const u8> rsdp)
{
    begin_tag(rsdp.size() > kOldRsdp ? acpi_new : acpi_old);
    put(rsdp.data(), rsdp.size());
    end_tag();
}

void Information::add_efi_system_table(u64 address)
{
    begin_tag(efi64_system_table);
    put(address);
    end_tag();
}

void Information::add_efi_memory_map(std::span<const u8> descriptors, std::size_t stride)
{
    begin_tag(efi_memory_map);
    put(static_cast<u32>(stride));
    put(u32{1}); // of this version [UEFI 7.2]
    put(descriptors.data(), descriptors.size());
    end_tag();
}

void Information::finish()
{
    begin_tag(end);
    end_tag();
    if (!full_)
        bytes::store(to_.data(), static_cast<u32>(used_));
}

} // namespace vmm::efi

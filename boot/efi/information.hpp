// SPDX-License-Identifier: Apache-2.0
//
// The information that a Multiboot2 loader gives the hypervisor, written tag by tag into memory of the
// caller's. What does not fit is left out, and complete() says so. [Multiboot2 3.6]
#pragma once

#include "base/types.hpp"
#include "platform/boot_info.hpp"
#include "platform/multiboot2_tag.hpp"

#include <span>
#include <string_view>

namespace vmm::efi
{

class Information
{
  public:
    explicit Information(std::span<u8> to) : to_(to) {}

    void add_command_line(std::string_view text);
    void add_loader_name(std::string_view text);
    // Where a file was put, below 4 GiB.
    void add_module(u64 start, u64 size, std::string_view text);
    // All regions follow each other, with nothing else in between.
    void begin_memory_map();
    void add_memory(const Memory_region& region);
    void end_memory_map() { end_tag(); }
    void add_framebuffer(const Framebuffer& screen);
    // A copy of the ACPI root pointer, of either length.
    void add_rsdp(std::span<const u8> rsdp);
    void add_efi_system_table(u64 address);
    // The firmware's memory map as it is.
    void add_efi_memory_map(std::span<const u8> descriptors, std::size_t stride);
    void finish();

    [[nodiscard]] bool complete() const { return !full_; }
    [[nodiscard]] std::size_t size() const { return used_; }

  private:
    void begin_tag(Multiboot2_tag type);
    void end_tag();
    void add_text(Multiboot2_tag type, std::string_view text);
    void put(const void* from, std::size_t size);
    template <class T>
    void put(const T& value)
    {
        put(&value, sizeof value);
    }

    std::span<u8> to_;
    std::size_t used_ = 8; // the total size and a reserved word
    std::size_t tag_  = 0;
    bool full_        = false;
};

} // namespace vmm::efi

// SPDX-License-Identifier: Apache-2.0
//
// Multiboot 0.6.96, section 3.3: a fixed block of flags and pointers. Multiboot2, section 3.6: a total size,
// then tags of {type, size} on 8-byte boundaries, ended by a tag of type 0. Below, false is corrupt.
#include "platform/boot_info.hpp"

#include "base/bits.hpp"
#include "platform/multiboot2_tag.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

struct Module {
    u32 start, end; // in Multiboot2 the string follows
};

struct [[gnu::packed]] Map_entry {
    u64 address, length;
    u32 type;
};

constexpr u32 kMaxMapEntry = 256; // more is corruption

// The string ends at its NUL or with the bytes it is in.
template <std::size_t N>
bool read_text(const Physical_bytes& from, u32 offset, Fixed_text<N>& text, Boot_info& info)
{
    std::array<char, N + 1> buffer;
    std::size_t n = 0;
    for (; n <= N && offset < from.size(); ++n, ++offset) {
        if (!from.read_object(offset, buffer[n]))
            return false;
        if (buffer[n] == '\0')
            break;
    }
    text.assign({buffer.data(), n});
    info.truncated |= text.cut();
    return true;
}

// Some loaders put the file's name before the text; GRUB 2 does not.
template <std::size_t N>
void drop_file_name(const Boot_info& info, Fixed_text<N>& text)
{
    if (info.loader.view().starts_with("GRUB 2"))
        return;
    const auto skip = [](std::string_view from, auto end) { return from.substr(std::min(end, from.size())); };
    auto rest       = text.view();
    rest            = skip(rest, rest.find_first_not_of(' '));
    rest            = skip(rest, rest.find(' '));
    rest            = skip(rest, rest.find_first_not_of(' '));
    text.assign(std::string_view(rest));
}

bool add_module(const Module& m, const Physical_bytes& text, u32 offset, Boot_info& info)
{
    Boot_module module{Hpa(m.start), Hpa(m.end), {}};
    if (m.end < m.start || !read_text(text, offset, module.command_line, info))
        return false;
    info.truncated |= !info.modules.push(module);
    return true;
}

void add_region(const Map_entry& entry, Boot_info& info)
{
    info.truncated |= !info.memory.push({Hpa(entry.address), entry.length, Memory_type(entry.type)});
}

namespace multiboot1
{

struct Information {
    u32 flags;
    u32 mem_lower, mem_upper; // KiB
    u32 boot_device;
    u32 cmdline;
    u32 mods_count, mods_addr;
    u32 syms[4];
    u32 mmap_length, mmap_addr;
    u32 drives_length, drives_addr;
    u32 config_table;
    u32 boot_loader_name;
    u32 apm_table;
    u32 vbe[4];
    Framebuffer framebuffer;
};
static_assert(offsetof(Information, framebuffer) == 88 && sizeof(Information) == 120);

enum Flag : unsigned {
    has_memory      = 0,
    has_cmdline     = 2,
    has_modules     = 3,
    has_map         = 6,
    has_loader      = 9,
    has_framebuffer = 12
};

Physical_bytes from(const Physical_reader& memory, u32 address)
{
    return {memory, Hpa(address), address != 0 ? ~0u : 0};
}

bool read_map(const Information& mbi, const Physical_reader& memory, Boot_info& info)
{
    u64 at        = mbi.mmap_addr;
    const u64 end = at + mbi.mmap_length;
    u32 size      = 0; // of what follows it
    for (; at + sizeof size + sizeof(Map_entry) <= end; at += sizeof size + size) {
        Map_entry entry;
        if (!memory.read_object(Hpa(at), size) || size < sizeof entry || size > kMaxMapEntry ||
            !memory.read_object(Hpa(at + sizeof size), entry))
            return false;
        add_region(entry, info);
    }
    return true;
}

bool read_modules(const Information& mbi, const Physical_reader& memory, Boot_info& info)
{
    struct {
        Module where;
        u32 string, reserved;
    } entry;
    for (u32 i = 0; i < mbi.mods_count && i <= kMaxBootModules; ++i) {
        if (!memory.read_object(Hpa(mbi.mods_addr + i * sizeof entry), entry) ||
            !add_module(entry.where, from(memory, entry.string), 0, info))
            return false;
    }
    for (Boot_module& module : info.modules)
        drop_file_name(info, module.command_line);
    return true;
}

bool parse(Hpa at, const Physical_reader& memory, Boot_info& info)
{
    Information mbi;
    if (!memory.read_object(at, mbi))
        return false;
    const auto has = [&](Flag flag) { return (mbi.flags & bit(flag)) != 0; };
    if (has(has_loader) && !read_text(from(memory, mbi.boot_loader_name), 0, info.loader, info))
        return false;
    if (has(has_cmdline)) {
        if (!read_text(from(memory, mbi.cmdline), 0, info.command_line, info))
            return false;
        drop_file_name(info, info.command_line);
    }
    if (has(has_framebuffer))
        info.framebuffer = mbi.framebuffer;
    if (has(has_map)) {
        if (!read_map(mbi, memory, info))
            return false;
    } else if (has(has_memory)) {
        info.memory.push({Hpa(0), u64{mbi.mem_lower} * 1024, Memory_type::ram});
        info.memory.push({Hpa(1 << 20), u64{mbi.mem_upper} * 1024, Memory_type::ram});
    }
    return !has(has_modules) || read_modules(mbi, memory, info);
}

} // namespace multiboot1

namespace multiboot2
{

using enum Multiboot2_tag;

struct Header {
    u32 total_size, reserved;
};

struct Tag {
    Multiboot2_tag type;
    u32 size;
};

constexpr u32 kMaxTotalSize = 1 << 20; // more is corruption

bool read_memory_map(const Physical_bytes& body, Boot_info& info)
{
    constexpr u32 first  = 8; // after the size of an entry and a version
    const u32 entry_size = body.get<u32>(0);
    if (entry_size < sizeof(Map_entry) || entry_size > kMaxMapEntry)
        return false;
    for (u32 at = first; body.has(at, entry_size); at += entry_size) {
        Map_entry entry;
        if (!body.read_object(at, entry))
            return false;
        add_region(entry, info);
    }
    return true;
}

// As the firmware gave it, in descriptors of the size that comes first.
bool read_efi_memory(const Physical_bytes& body, Boot_info& info)
{
    struct Descriptor {
        u64 type; // the upper half is padding
        Hpa start;
        u64 virtual_start, pages, attributes;
    };
    constexpr u32 first = 8; // after the size and a version
    const u32 size      = body.get<u32>(0);
    if (size < sizeof(Descriptor) || size > kMaxMapEntry)
        return false;
    for (u32 at = first; body.has(at, size); at += size) {
        Descriptor d;
        if (!body.read_object(at, d))
            return false;
        info.truncated |= !info.efi_memory.push({d.start, d.pages, d.attributes, static_cast<u32>(d.type)});
    }
    return true;
}

// As in Multiboot1, but with two bytes of padding before the colours, which only pixels have.
bool read_framebuffer(const Physical_bytes& body, Framebuffer& fb)
{
    constexpr u32 colours = 24;
    const std::span<u8> raw(reinterpret_cast<u8*>(&fb), sizeof fb);
    return body.has(0, colours) && body.read(0, raw.first(offsetof(Framebuffer, red_position))) &&
           (fb.kind != Framebuffer::Kind::rgb ||
            body.read(colours, raw.subspan(offsetof(Framebuffer, red_position), 6)));
}

// The newer copy wins over the older, whichever comes first.
bool read_rsdp(const Physical_bytes& body, Boot_info& info)
{
    const u32 size = std::min<u32>(body.size(), kMaxRsdpSize);
    if (size <= info.rsdp_size)
        return true;
    info.rsdp_size = size;
    return body.read(0, std::span<u8>(info.rsdp).first(size));
}

bool read_tag(Multiboot2_tag type, const Physical_bytes& body, Boot_info& info)
{
    switch (type) {
    case command_line: return read_text(body, 0, info.command_line, info);
    case loader_name: return read_text(body, 0, info.loader, info);
    case module: {
        Module m;
        return body.read_object(0, m) && add_module(m, body, sizeof m, info);
    }
    case memory_map: return read_memory_map(body, info);
    case framebuffer: return read_framebuffer(body, info.framebuffer);
    case acpi_old:
    case acpi_new: return read_rsdp(body, info);
    case efi64_system_table: return body.read_object(0, info.efi_system_table);
    case efi_memory_map: return read_efi_memory(body, info);
    default: return true;
    }
}

bool parse(Hpa at, const Physical_reader& memory, Boot_info& info)
{
    Header header;
    if (!memory.read_object(at, header) || header.total_size > kMaxTotalSize)
        return false;
    const Physical_bytes all(memory, at, header.total_size);
    Tag tag;
    for (u32 offset = sizeof header; all.read_object(offset, tag);) {
        if (tag.type == end)
            return true;
        if (tag.size < sizeof tag || !all.has(offset, tag.size) ||
            !read_tag(tag.type, all.part(offset + sizeof tag, tag.size - sizeof tag), info))
            return false;
        offset = static_cast<u32>(align_up(offset + tag.size, 8));
    }
    return false; // no end tag
}

} // namespace multiboot2
} // namespace

Expected<void> parse_boot_info(u32 magic, Hpa at, const Physical_reader& memory, Boot_info& info)
{
    if (magic != kMultiboot1Magic && magic != kMultiboot2Magic)
        return fail(Errc::enoexec);
    const bool sound =
        magic == kMultiboot1Magic ? multiboot1::parse(at, memory, info) : multiboot2::parse(at, memory, info);
    if (!sound)
        return fail(Errc::einval);
    return {};
}

} // namespace vmm

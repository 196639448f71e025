// SPDX-License-Identifier: Apache-2.0
//
// The boot information of Multiboot2, section 3.6: a total size, then tags of {type, size} on 8-byte
// boundaries, ended by a tag of type 0.
#include "base/bits.hpp"
#include "platform/boot_text.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

enum Tag_type : u32 {
    end                = 0,
    command_line       = 1,
    loader_name        = 2,
    module             = 3,
    memory_map         = 6,
    framebuffer        = 8,
    efi64_system_table = 12,
    acpi_old           = 14,
    acpi_new           = 15
};

struct Header {
    u32 total_size, reserved;
};

struct Tag {
    u32 type, size;
};

struct Module_tag {
    u32 start, end; // then the string
};

struct Map_tag {
    u32 entry_size, entry_version;
};

struct Map_entry {
    u64 address, length;
    u32 type, reserved;
};

struct [[gnu::packed]] Framebuffer_tag {
    u64 address;
    u32 pitch, width, height;
    u8 bpp, type;
    u16 reserved;
    u8 colour_info[6]; // for type 1
};
constexpr u32 kFramebufferTagMin = 24;

constexpr u32 kMaxTotalSize = 1 << 20; // more is corruption
constexpr u32 kMaxEntrySize = 256;

// The contents of one tag, without its header.
class Body
{
  public:
    Body(const Physical_reader& memory, Hpa at, u32 size) : memory_(memory), at_(at), size_(size) {}

    [[nodiscard]] u32 size() const { return size_; }

    bool read(u32 offset, std::span<u8> to) const
    {
        return offset <= size_ && to.size() <= size_ - offset && memory_.read(at_ + offset, to);
    }
    template <class T>
    bool read_object(u32 offset, T& to) const
    {
        return read(offset, std::span<u8>(reinterpret_cast<u8*>(&to), sizeof to));
    }
    // The string ends at its NUL or with the tag.
    template <std::size_t N>
    bool read_text(u32 offset, Fixed_text<N>& text, bool& truncated) const
    {
        char buffer[N + 1];
        std::size_t n = 0;
        for (; n <= N && offset + n < size_; ++n) {
            u8 c = 0;
            if (!read(offset + static_cast<u32>(n), std::span<u8>(&c, 1)))
                return false;
            if (c == 0)
                break;
            buffer[n] = static_cast<char>(c);
        }
        text.assign(std::string_view(buffer, n));
        truncated = truncated || text.cut();
        return true;
    }

  private:
    const Physical_reader& memory_;
    Hpa at_;
    u32 size_;
};

bool read_module(const Body& body, Boot_info& info)
{
    Module_tag m;
    if (!body.read_object(0, m) || m.end < m.start)
        return false;
    Boot_module result{Hpa(m.start), Hpa(m.end), {}};
    if (!body.read_text(sizeof m, result.command_line, info.truncated))
        return false;
    if (!info.modules.push(result))
        info.truncated = true;
    return true;
}

bool read_memory_map(const Body& body, Boot_info& info)
{
    Map_tag map;
    if (!body.read_object(0, map) || map.entry_size < sizeof(Map_entry) || map.entry_size > kMaxEntrySize)
        return false;
    for (u32 at = sizeof map; at + map.entry_size <= body.size(); at += map.entry_size) {
        Map_entry entry;
        if (!body.read_object(at, entry))
            return false;
        if (!info.memory.push({Hpa(entry.address), entry.length, Memory_type(entry.type)}))
            info.truncated = true;
    }
    return true;
}

bool read_framebuffer(const Body& body, Framebuffer& fb)
{
    Framebuffer_tag tag{};
    if (body.size() < kFramebufferTagMin)
        return false;
    const u32 size = std::min<u32>(body.size(), sizeof tag);
    if (!body.read(0, std::span<u8>(reinterpret_cast<u8*>(&tag), size)))
        return false;
    if (tag.type == 1 && size < sizeof tag)
        return false;
    if (tag.type != 1 && tag.type != 2)
        return true;
    fb.kind           = tag.type == 1 ? Framebuffer::Kind::rgb : Framebuffer::Kind::text;
    fb.address        = Hpa(tag.address);
    fb.pitch          = tag.pitch;
    fb.width          = tag.width;
    fb.height         = tag.height;
    fb.bits_per_pixel = tag.bpp;
    fb.red_position   = tag.colour_info[0];
    fb.red_size       = tag.colour_info[1];
    fb.green_position = tag.colour_info[2];
    fb.green_size     = tag.colour_info[3];
    fb.blue_position  = tag.colour_info[4];
    fb.blue_size      = tag.colour_info[5];
    return true;
}

// The newer copy wins over the older, whichever comes first.
bool read_rsdp(const Body& body, Boot_info& info)
{
    const u32 size = std::min<u32>(body.size(), kMaxRsdpSize);
    if (size <= info.rsdp_size)
        return true;
    info.rsdp_size = size;
    return body.read(0, std::span<u8>(info.rsdp).first(size));
}

bool read_tag(u32 type, const Body& body, Boot_info& info)
{
    switch (type) {
    case command_line: return body.read_text(0, info.command_line, info.truncated);
    case loader_name: return body.read_text(0, info.loader, info.truncated);
    case module: return read_module(body, info);
    case memory_map: return read_memory_map(body, info);
    case framebuffer: return read_framebuffer(body, info.framebuffer);
    case acpi_old:
    case acpi_new: return read_rsdp(body, info);
    case efi64_system_table: return body.read_object(0, info.efi_system_table);
    default: return true;
    }
}

} // namespace

Expected<void> parse_multiboot2(Hpa at, const Physical_reader& memory, Boot_info& info)
{
    Header header;
    if (!memory.read_object(at, header) || header.total_size < sizeof header ||
        header.total_size > kMaxTotalSize)
        return fail(Errc::einval);
    u64 offset = sizeof header;
    while (offset + sizeof(Tag) <= header.total_size) {
        Tag tag;
        if (!memory.read_object(at + offset, tag))
            return fail(Errc::einval);
        if (tag.type == end)
            return {};
        if (tag.size < sizeof tag || tag.size > header.total_size - offset)
            return fail(Errc::einval);
        const Body body(memory, at + offset + sizeof tag, tag.size - static_cast<u32>(sizeof tag));
        if (!read_tag(tag.type, body, info))
            return fail(Errc::einval);
        offset = align_up(offset + tag.size, 8);
    }
    return fail(Errc::einval); // no end tag
}

} // namespace vmm

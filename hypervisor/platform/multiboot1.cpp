// SPDX-License-Identifier: Apache-2.0
//
// The information structure of Multiboot 0.6.96, section 3.3: a fixed block of flags and pointers.
#include "base/bits.hpp"
#include "platform/boot_text.hpp"

#include <algorithm>

namespace vmm
{
namespace
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
    u64 framebuffer_addr;
    u32 framebuffer_pitch, framebuffer_width, framebuffer_height;
    u8 framebuffer_bpp, framebuffer_type;
    u8 colour_info[6];
};
static_assert(offsetof(Information, framebuffer_addr) == 88 && sizeof(Information) == 120);

enum Flag : unsigned {
    has_memory      = 0,
    has_cmdline     = 2,
    has_modules     = 3,
    has_map         = 6,
    has_loader      = 9,
    has_framebuffer = 12
};

struct Module {
    u32 start, end, string, reserved;
};

struct [[gnu::packed]] Map_entry {
    u32 size; // of what follows
    u64 address, length;
    u32 type;
};

constexpr u32 kMinMapEntry = sizeof(Map_entry) - sizeof(u32);
constexpr u32 kMaxMapEntry = 256; // more is corruption
constexpr u64 kOneMiB      = 1 << 20;

Expected<void> read_map(const Information& mbi, const Physical_reader& memory, Boot_info& info)
{
    u64 at        = mbi.mmap_addr;
    const u64 end = at + mbi.mmap_length;
    while (at + sizeof(Map_entry) <= end) {
        Map_entry entry;
        if (!memory.read_object(Hpa(at), entry) || entry.size < kMinMapEntry || entry.size > kMaxMapEntry)
            return fail(Errc::einval);
        if (!info.memory.push({Hpa(entry.address), entry.length, Memory_type(entry.type)}))
            info.truncated = true;
        at += sizeof entry.size + entry.size;
    }
    return {};
}

Expected<void> read_modules(const Information& mbi, const Physical_reader& memory, bool skip_name,
                            Boot_info& info)
{
    if (mbi.mods_count > kMaxBootModules)
        info.truncated = true;
    const u32 count = std::min<u32>(mbi.mods_count, kMaxBootModules);
    for (u32 i = 0; i < count; ++i) {
        Module m;
        if (!memory.read_object(Hpa(u64{mbi.mods_addr} + i * sizeof(Module)), m) || m.end < m.start)
            return fail(Errc::einval);
        Boot_module module{Hpa(m.start), Hpa(m.end), {}};
        if (m.string != 0 && !read_text(memory, Hpa(m.string), module.command_line, info.truncated))
            return fail(Errc::einval);
        if (skip_name)
            module.command_line.assign(without_first_word(module.command_line.view()));
        info.modules.push(module);
    }
    return {};
}

void read_framebuffer(const Information& mbi, Framebuffer& fb)
{
    if (mbi.framebuffer_type != 1 && mbi.framebuffer_type != 2)
        return;
    fb.kind           = mbi.framebuffer_type == 1 ? Framebuffer::Kind::rgb : Framebuffer::Kind::text;
    fb.address        = Hpa(mbi.framebuffer_addr);
    fb.pitch          = mbi.framebuffer_pitch;
    fb.width          = mbi.framebuffer_width;
    fb.height         = mbi.framebuffer_height;
    fb.bits_per_pixel = mbi.framebuffer_bpp;
    fb.red_position   = mbi.colour_info[0];
    fb.red_size       = mbi.colour_info[1];
    fb.green_position = mbi.colour_info[2];
    fb.green_size     = mbi.colour_info[3];
    fb.blue_position  = mbi.colour_info[4];
    fb.blue_size      = mbi.colour_info[5];
}

} // namespace

Expected<void> parse_multiboot1(Hpa at, const Physical_reader& memory, Boot_info& info)
{
    Information mbi;
    if (!memory.read_object(at, mbi))
        return fail(Errc::einval);
    const auto has = [&](Flag flag) { return (mbi.flags & bit(flag)) != 0; };

    if (has(has_loader) && !read_text(memory, Hpa(mbi.boot_loader_name), info.loader, info.truncated))
        return fail(Errc::einval);
    const bool skip_name = passes_file_name(info.loader.view());
    if (has(has_cmdline)) {
        if (!read_text(memory, Hpa(mbi.cmdline), info.command_line, info.truncated))
            return fail(Errc::einval);
        if (skip_name)
            info.command_line.assign(without_first_word(info.command_line.view()));
    }
    if (has(has_framebuffer))
        read_framebuffer(mbi, info.framebuffer);
    if (has(has_map)) {
        TRY(read_map(mbi, memory, info));
    } else if (has(has_memory)) {
        info.memory.push({Hpa(0), u64{mbi.mem_lower} * 1024, Memory_type::ram});
        info.memory.push({Hpa(kOneMiB), u64{mbi.mem_upper} * 1024, Memory_type::ram});
    }
    if (has(has_modules))
        return read_modules(mbi, memory, skip_name, info);
    return {};
}

} // namespace vmm

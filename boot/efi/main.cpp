// SPDX-License-Identifier: Apache-2.0
//
// plinth.efi: the hypervisor as a UEFI application, for machines without GRUB. It reads plinth.cfg, the
// kernel and the initial RAM file system from the file system that it was started from, ends the boot
// services, and enters the hypervisor, which it carries inside, as a Multiboot2 loader does.
#include "base/bits.hpp"
#include "base/string.hpp"
#include "efi/arguments.hpp"
#include "efi/boot_entry.hpp"
#include "efi/firmware.hpp"
#include "efi/handover.hpp"
#include "efi/image.hpp"
#include "efi/memory_map.hpp"

#include <bit>

extern "C" const vmm::u8 hypervisor_image[];
extern "C" const vmm::u8 hypervisor_image_end[];

namespace vmm::efi
{
namespace
{

constexpr std::size_t kMostDescriptors = 1024;
constexpr std::size_t kInformationSize = 128 * kKiB;
constexpr std::size_t kHeadroom        = 16; // descriptors that our own last steps may add

struct Loaded {
    Boot_entry entry;
    std::span<u8> kernel;
    std::span<u8> ramdisk;
};

// As the firmware has it now.
struct Current_map {
    std::span<u8> room;
    UINTN size   = 0;
    UINTN stride = 0;
    UINTN key    = 0;

    EFI_STATUS read()
    {
        UINT32 version = 0;
        size           = room.size();
        return BS->GetMemoryMap(&size, reinterpret_cast<EFI_MEMORY_DESCRIPTOR*>(room.data()), &key, &stride,
                                &version);
    }
    [[nodiscard]] Memory_map map() const { return {room.first(size), stride}; }
};

Arguments arguments_of(const EFI_LOADED_IMAGE& image, std::span<char> room)
{
    const auto* words = static_cast<const CHAR16*>(image.LoadOptions);
    return read_arguments({reinterpret_cast<const char16_t*>(words), image.LoadOptionsSize / sizeof(CHAR16)},
                          room);
}

Loaded load(const Volume& volume, const Arguments& arguments)
{
    static std::string_view config;
    config           = arguments.config;
    const auto text  = volume.read(config);
    const auto entry = find_boot_entry({reinterpret_cast<const char*>(text.data()), text.size()},
                                       arguments.section, [](unsigned line, std::string_view problem) {
                                           if (line != 0)
                                               say("{}:{}: {}", config, line, problem);
                                           else
                                               say("{}: {}", config, problem);
                                       });
    if (!entry)
        stop(EFI_LOAD_ERROR, "{} does not say what to boot", config);
    say("Plinth: [{}] of {}: {}{}{}", entry->name, config, entry->kernel,
        entry->ramdisk.empty() ? "" : " and ", entry->ramdisk);
    Loaded loaded{*entry, volume.read(entry->kernel), {}};
    if (!entry->ramdisk.empty())
        loaded.ramdisk = volume.read(entry->ramdisk);
    return loaded;
}

void add_rsdp(Information& to)
{
    EFI_GUID newer = ACPI_20_TABLE_GUID;
    EFI_GUID older = ACPI_TABLE_GUID;
    void* at       = nullptr;
    if (LibGetSystemConfigurationTable(&newer, &at) == EFI_SUCCESS)
        to.add_rsdp({static_cast<const u8*>(at), kMaxRsdpSize});
    else if (LibGetSystemConfigurationTable(&older, &at) == EFI_SUCCESS)
        to.add_rsdp({static_cast<const u8*>(at), 20});
}

void set_colours(Framebuffer& screen, const EFI_PIXEL_BITMASK& mask)
{
    const auto place = [](u32 bits, u8& position, u8& size) {
        position = static_cast<u8>(bits != 0 ? __builtin_ctz(bits) : 0);
        size     = static_cast<u8>(__builtin_popcount(bits));
    };
    place(mask.RedMask, screen.red_position, screen.red_size);
    place(mask.GreenMask, screen.green_position, screen.green_size);
    place(mask.BlueMask, screen.blue_position, screen.blue_size);
}

// In the mode that the firmware has chosen. [UEFI 12.9]
void add_screen(Information& to)
{
    EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    void* found   = nullptr;
    if (failed(BS->HandleProtocol(ST->ConsoleOutHandle, &guid, &found)) &&
        failed(BS->LocateProtocol(&guid, nullptr, &found)))
        return;
    const auto* graphics = static_cast<const EFI_GRAPHICS_OUTPUT_PROTOCOL*>(found);
    const auto& mode     = *graphics->Mode->Info;
    EFI_PIXEL_BITMASK colours{};
    switch (mode.PixelFormat) {
    case PixelRedGreenBlueReserved8BitPerColor: colours = {0xff, 0xff00, 0xff0000, 0xff000000}; break;
    case PixelBlueGreenRedReserved8BitPerColor: colours = {0xff0000, 0xff00, 0xff, 0xff000000}; break;
    case PixelBitMask: colours = mode.PixelInformation; break;
    default: return; // drawn by the firmware only
    }
    const u32 all = colours.RedMask | colours.GreenMask | colours.BlueMask | colours.ReservedMask;
    Framebuffer screen{.address        = Hpa(graphics->Mode->FrameBufferBase),
                       .width          = mode.HorizontalResolution,
                       .height         = mode.VerticalResolution,
                       .bits_per_pixel = static_cast<u8>(align_up(static_cast<u64>(std::bit_width(all)), 8)),
                       .kind           = Framebuffer::Kind::rgb};
    screen.pitch = mode.PixelsPerScanLine * (screen.bits_per_pixel / 8);
    set_colours(screen, colours);
    to.add_framebuffer(screen);
}

// All of the information but the memory map, which changes until the boot services have ended.
void describe(const Loaded& loaded, Information& to)
{
    const auto module = [&](std::span<u8> file, std::string_view text) {
        to.add_module(reinterpret_cast<u64>(file.data()), file.size(), text);
    };
    to.add_command_line(loaded.entry.options);
    to.add_loader_name("plinth.efi");
    module(loaded.kernel, loaded.entry.kernel_arguments);
    if (!loaded.ramdisk.empty())
        module(loaded.ramdisk, {});
    add_rsdp(to);
    add_screen(to);
    to.add_efi_system_table(reinterpret_cast<u64>(ST));
}

u32 low(const void* pointer) { return static_cast<u32>(reinterpret_cast<u64>(pointer)); }

[[noreturn]] void start(EFI_HANDLE self)
{
    EFI_GUID guid = LOADED_IMAGE_PROTOCOL;
    void* found   = nullptr;
    if (const auto status = BS->HandleProtocol(self, &guid, &found); failed(status))
        stop(status, "the firmware does not say where this was loaded from");
    const auto& started = *static_cast<const EFI_LOADED_IMAGE*>(found);

    const auto image = find_image({hypervisor_image, hypervisor_image_end});
    if (!image)
        stop(EFI_LOAD_ERROR, "the hypervisor in this file is not whole");
    keep_free(image->start, image->end);

    std::array<char, 256> room{};
    const Loaded loaded = load(Volume(started), arguments_of(started, room));

    const auto copy = take_pages(image->loaded.size());
    bytes::copy(copy.data(), image->loaded.data(), copy.size());
    const auto page  = take_pages(kHandoverSize, true);
    const auto where = take_pages(kInformationSize);
    Current_map current{take_pages(kMostDescriptors * sizeof(EFI_MEMORY_DESCRIPTOR))};
    Information information(where);
    describe(loaded, information);

    auto status = current.read();
    if (failed(status))
        stop(status, "the firmware does not tell its memory map");
    if (!current.map().is_ram(image->start, image->end))
        stop(EFI_OUT_OF_RESOURCES,
             "the firmware keeps memory from {x} to {x}, where the hypervisor has to be", image->start,
             image->end);
    const std::size_t used = information.size() + (current.size / current.stride + kHeadroom) *
                                                      (sizeof(Memory_region) + current.stride);
    if (!information.complete() || used > where.size())
        stop(EFI_BUFFER_TOO_SMALL, "its command lines or the firmware's memory map are too long");

    status = BS->ExitBootServices(self, current.key);
    if (failed(status)) { // what an event of the firmware's changed meanwhile, it does not change twice
                          // [UEFI 7.4.6]
        status = current.read();
        if (!failed(status))
            status = BS->ExitBootServices(self, current.key);
        if (failed(status))
            stop(status, "the firmware does not end its boot services");
    }
    current.map().describe(information);
    information.finish();
    hand_over(page, {.from        = low(copy.data()),
                     .to          = image->start,
                     .size        = static_cast<u32>(image->loaded.size()),
                     .zeroes      = static_cast<u32>(image->end - image->start - image->loaded.size()),
                     .entry       = image->entry,
                     .information = low(where.data())});
}

} // namespace
} // namespace vmm::efi

extern "C" EFI_STATUS efi_main(EFI_HANDLE self, EFI_SYSTEM_TABLE* table)
{
    vmm::efi::begin(self, table);
    vmm::efi::start(self);
}

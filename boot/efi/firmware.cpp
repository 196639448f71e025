// SPDX-License-Identifier: Apache-2.0
#include "efi/firmware.hpp"

#include "base/bits.hpp"
#include "platform/fixed_list.hpp"

#include <algorithm>

namespace vmm::efi
{
namespace
{

constexpr u64 kFourGiB         = 4 * kGiB;
constexpr u64 kReadingTime     = 10'000'000 * 10; // ten seconds, in the firmware's unit of 100 ns
constexpr std::size_t kAtOnce  = kMiB;            // some firmware fails to read much in one call
constexpr std::size_t kMostNow = 1ull << 31;      // a file of more has no room below 4 GiB

struct Taken {
    u64 start;
    std::size_t pages;
};

constinit EFI_HANDLE own_image = nullptr;
constinit Fixed_list<Taken, 32> taken;
constinit u64 free_start = 0;
constinit u64 free_end   = 0;

// In CHAR16 what fits; false: it does not.
bool append(std::span<CHAR16> to, std::size_t& used, std::string_view text)
{
    if (text.size() >= to.size() - used)
        return false;
    for (const char c : text)
        to[used++] = c == '/' ? L'\\' : static_cast<unsigned char>(c);
    to[used] = 0;
    return true;
}

} // namespace

void begin(EFI_HANDLE self, EFI_SYSTEM_TABLE* table)
{
    own_image = self;
    InitializeLib(self, table);
    BS->SetWatchdogTimer(0, 0, 0, nullptr); // which counts while large files are read
}

void print(std::string_view text)
{
    std::array<CHAR16, 128> piece{};
    std::size_t used = 0;
    const auto show  = [&] {
        piece[used] = 0;
        ST->ConOut->OutputString(ST->ConOut, piece.data());
        used = 0;
    };
    for (const char c : text) {
        if (used + 3 > piece.size())
            show();
        if (c == '\n')
            piece[used++] = '\r';
        piece[used++] = static_cast<unsigned char>(c);
    }
    show();
}

void give_up(EFI_STATUS status)
{
    print("Press a key to go on with what the firmware boots next.\n");
    ST->ConIn->Reset(ST->ConIn, FALSE); // of keys pressed before
    WaitForSingleEvent(ST->ConIn->WaitForKey, kReadingTime);
    for (const auto& [start, pages] : taken)
        BS->FreePages(start, pages);
    BS->Exit(own_image, status, 0, nullptr);
    for (;;)
        BS->Stall(1'000'000);
}

std::span<u8> take_pages(std::size_t bytes, bool code)
{
    const std::size_t pages = div_round_up(std::max<std::size_t>(bytes, 1), kPageSize);
    for (;;) {
        EFI_PHYSICAL_ADDRESS at = kFourGiB - 1;
        const auto status =
            BS->AllocatePages(AllocateMaxAddress, code ? EfiLoaderCode : EfiLoaderData, pages, &at);
        if (failed(status))
            stop(status, "{} KiB of memory below 4 GiB are needed", pages * kPageSize / kKiB);
        if (!taken.push({at, pages}))
            stop(EFI_OUT_OF_RESOURCES, "the memory below 4 GiB is in too many pieces");
        if (at >= free_end || at + pages * kPageSize <= free_start)
            return {reinterpret_cast<u8*>(at), bytes};
        // It stays taken, so that the next is another one.
    }
}

void keep_free(u64 start, u64 end)
{
    free_start = start;
    free_end   = end;
}

Volume::Volume(const EFI_LOADED_IMAGE& started)
{
    if (started.DeviceHandle != nullptr)
        root_ = LibOpenRoot(started.DeviceHandle);
    if (root_ == nullptr)
        stop(EFI_UNSUPPORTED, "it was not started from a file system that the firmware can read");
    if (started.FilePath == nullptr)
        return; // names count from the root
    const CHAR16* path = DevicePathToStr(started.FilePath);
    std::size_t end    = 0;
    for (std::size_t i = 0; path[i] != 0 && i + 1 < std::size(folder_); ++i) {
        folder_[i] = path[i] == L'/' ? L'\\' : path[i];
        if (folder_[i] == L'\\')
            end = i + 1;
    }
    folder_[end] = 0;
}

std::span<u8> Volume::read(std::string_view name) const
{
    CHAR16 path[512];
    std::size_t used = 0;
    if (!name.starts_with('/') && !name.starts_with('\\')) {
        for (; folder_[used] != 0; ++used)
            path[used] = folder_[used];
    }
    if (!append(path, used, name))
        stop(EFI_INVALID_PARAMETER, "the name {} is too long", name);
    EFI_FILE_HANDLE file = nullptr;
    auto status          = root_->Open(root_, &file, path, EFI_FILE_MODE_READ, 0);
    if (failed(status))
        stop(status, "the file {} cannot be opened", name);
    const EFI_FILE_INFO* info = LibFileInfo(file);
    if (info == nullptr || (info->Attribute & EFI_FILE_DIRECTORY) != 0 || info->FileSize > kMostNow)
        stop(EFI_UNSUPPORTED, "{} is not a file of at most 2 GiB", name);
    const auto bytes = take_pages(info->FileSize);
    for (std::size_t at = 0; at < bytes.size();) {
        UINTN count = std::min(bytes.size() - at, kAtOnce);
        status      = file->Read(file, &count, bytes.data() + at);
        if (failed(status) || count == 0)
            stop(failed(status) ? status : EFI_END_OF_FILE, "{} cannot be read behind byte {}", name, at);
        at += count;
    }
    file->Close(file);
    return bytes;
}

} // namespace vmm::efi

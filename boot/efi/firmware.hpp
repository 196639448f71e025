// SPDX-License-Identifier: Apache-2.0
//
// What the application asks of the firmware while its boot services last: text on the console, memory, files.
// What cannot be done ends the application with a line that says what and why; the firmware then boots what
// comes next.
#pragma once

#include "base/format.hpp"
#include "efi/gnu_efi.hpp"

#include <span>
#include <string_view>

namespace vmm::efi
{

// First of all.
void begin(EFI_HANDLE self, EFI_SYSTEM_TABLE* table);

constexpr bool failed(EFI_STATUS status) { return (status >> 63) != 0; }

void print(std::string_view text);
// Waits for a key, at most some seconds, so that what was printed can be read; gives all memory back; ends
// the application.
[[noreturn]] void give_up(EFI_STATUS status);

template <class... Args>
void say(std::string_view format, const Args&... args)
{
    std::array<char, 400> text{};
    print(format_to(text, format, args...));
    print("\n");
}

// `status` is told in the firmware's words, behind the text.
template <class... Args>
[[noreturn]] void stop(EFI_STATUS status, std::string_view format, const Args&... args)
{
    std::array<char, 400> text{};
    print("Plinth cannot start: ");
    print(format_to(text, format, args...));
    CHAR16 words[64];
    StatusToString(words, status);
    print(" (");
    ST->ConOut->OutputString(ST->ConOut, words);
    print(")\n");
    give_up(status);
}

// Memory that stays for the hypervisor: whole pages below 4 GiB, where its entry code and 32-bit addresses
// reach, outside the range that the hypervisor's own image is to have. `code`: it will run there.
std::span<u8> take_pages(std::size_t bytes, bool code = false);
void keep_free(u64 start, u64 end);

// The file system that an image was started from.
class Volume
{
  public:
    explicit Volume(const EFI_LOADED_IMAGE& started);

    // A name that begins with a slash, either, is one from the root; another is one beside the image. The
    // file's text or bytes; empty is an empty file.
    std::span<u8> read(std::string_view name) const;

  private:
    EFI_FILE_HANDLE root_ = nullptr;
    CHAR16 folder_[256]   = {}; // of the image, with a backslash at its end
};

} // namespace vmm::efi

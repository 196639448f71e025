// SPDX-License-Identifier: Apache-2.0
//
// Firmware with a mistake: a driver that stays at runtime, takes the place of the service that writes
// variables, and for one of a name that begins with "Fault" reads where nothing is.
extern "C" {
#include <efi.h>
}

namespace
{

EFI_SET_VARIABLE original = nullptr;

bool begins_with_fault(const CHAR16* name)
{
    constexpr wchar_t word[] = L"Fault";
    for (UINTN i = 0; word[i] != 0; ++i) {
        if (name[i] != word[i])
            return false;
    }
    return true;
}

EFIAPI EFI_STATUS set_variable(CHAR16* name, EFI_GUID* vendor, UINT32 attributes, UINTN size, VOID* data)
{
    if (begins_with_fault(name))
        return *reinterpret_cast<volatile UINT8*>(0xdead'0000);
    return original(name, vendor, attributes, size, data);
}

} // namespace

extern "C" EFI_STATUS efi_main(EFI_HANDLE, EFI_SYSTEM_TABLE* table)
{
    original                            = table->RuntimeServices->SetVariable;
    table->RuntimeServices->SetVariable = set_variable;
    return EFI_SUCCESS;
}

// SPDX-License-Identifier: Apache-2.0
//
// GNU-EFI's headers, which are C.
#pragma once

extern "C" {
#include <efi.h>
#include <efilib.h>
}

// SPDX-License-Identifier: Apache-2.0
#include "platform/efi.hpp"

namespace vmm
{

std::optional<Efi_firmware> read_efi_firmware(Hpa system_table, const Physical_reader& memory)
{
    Efi_firmware found{};
    Efi_system_table& system = found.system;
    if (system_table == Hpa() || !memory.read_object(system_table, system) ||
        system.header.signature != Efi_system_table::kSignature ||
        !memory.read_object(system.runtime_services, found.services) ||
        found.services.header.signature != Efi_runtime_services::kSignature)
        return std::nullopt;
    for (std::size_t i = 0; i + 1 < found.vendor.size() && system.vendor != Hpa(); ++i) {
        if (!memory.read_object(system.vendor + i * sizeof found.vendor[i], found.vendor[i]) ||
            found.vendor[i] == 0)
            break;
    }
    return found;
}

} // namespace vmm

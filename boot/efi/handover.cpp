// SPDX-License-Identifier: Apache-2.0
#include "efi/handover.hpp"

#include "base/string.hpp"

extern "C" const vmm::u8 handover_code[];
extern "C" const vmm::u8 handover_code_end[];

namespace vmm::efi
{

void hand_over(std::span<u8> page, const Handover& what)
{
    bytes::copy(page.data(), handover_code, static_cast<std::size_t>(handover_code_end - handover_code));
    bytes::store(page.last(sizeof what).data(), what);
    asm volatile("jmp *%0" ::"r"(page.data()), "D"(page.data()) : "memory");
    __builtin_unreachable();
}

} // namespace vmm::efi

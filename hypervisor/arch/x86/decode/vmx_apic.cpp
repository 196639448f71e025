// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/decode/vmx_apic.hpp"

#include "arch/x86/regs/local_apic.hpp"
#include "arch/x86/regs/msr.hpp"

#include <algorithm>
#include <cstring>

namespace vmm::vmx
{
namespace
{

constexpr std::size_t kWrites =
    0x800; // where in the bitmap they begin; low numbers, then high ones from 0xc0000000

void let_through(u8* page, u32 index, std::size_t part)
{
    const std::size_t at = part + (index >= 0xc0000000 ? 0x400 : 0) + (index & 0x1fff) / 8;
    page[at]             = static_cast<u8>(page[at] & ~(1u << (index & 7)));
}

} // namespace

Vectors Apic_page::vectors(u32 first) const
{
    Vectors all{};
    for (u32 i = 0; i < kVectorRegisters; ++i)
        add_vector_register(all, i, (*this)[first + i]);
    return all;
}

void Apic_page::set_vectors(u32 first, const Vectors& vectors) const
{
    for (u32 i = 0; i < kVectorRegisters; ++i)
        (*this)[first + i] = vector_register(vectors, i);
}

void Apic_page::add_vectors(u32 first, const Vectors& more) const
{
    for (u32 i = 0; i < kVectorRegisters; ++i)
        (*this)[first + i] |= vector_register(more, i);
}

u16 Apic_page::interrupt_status() const
{
    const int requested  = std::max(highest(vectors(apic::reg_irr)), 0);
    const int in_service = std::max(highest(vectors(apic::reg_isr)), 0);
    return static_cast<u16>(requested | in_service << 8);
}

// [SDM3 25.6.9, 30.5]
void make_msr_bitmap(u8* page, bool apic, bool spec_ctrl)
{
    std::memset(page, 0xff, kPageSize);
    for (const u32 index : {msr::kStar, msr::kLstar, msr::kCstar, msr::kSfmask, msr::kFsBase, msr::kGsBase,
                            msr::kKernelGsBase, msr::kSysenterCs, msr::kSysenterEsp, msr::kSysenterEip}) {
        let_through(page, index, 0);
        let_through(page, index, kWrites);
    }
    for (const u32 index : {msr::kSpecCtrl, msr::kPredCmd}) {
        if (spec_ctrl) {
            let_through(page, index, 0);
            let_through(page, index, kWrites);
        }
    }
    if (!apic)
        return;
    using namespace vmm::apic;
    let_through(page, kFirstMsr + reg_tpr, 0);
    let_through(page, kFirstMsr + reg_ppr, 0);
    for (u32 offset = reg_isr; offset < reg_irr + 8; ++offset)
        let_through(page, kFirstMsr + offset, 0);
    for (const u32 offset : {reg_tpr, reg_eoi, reg_self_ipi})
        let_through(page, kFirstMsr + offset, kWrites);
}

} // namespace vmm::vmx

// SPDX-License-Identifier: Apache-2.0
#include "emul/pci/pci_function.hpp"

#include "emul/pci/pci_registers.hpp"

namespace vmm
{

using namespace pci;

Expected<Unique<Pci_function>> Pci_function::create(Pci_context& context, Pci_address address)
{
    const u32 identity = context.config.read(address, kVendor, 4);
    if ((identity & 0xffff) == kNoVendor)
        return fail(Errc::enodev);
    auto function          = TRY(make_unique<Pci_function>(context, address));
    function->identity_    = identity;
    function->header_type_ = static_cast<u8>(context.config.read(address, kHeaderType, 1));
    TRY(function->find_capabilities());
    return function;
}

Expected<void> Pci_function::find_capabilities()
{
    if (!(context_.config.read(address_, kStatus, 2) & kStatusCapabilities))
        return {};
    // A chain longer than configuration space has room for is a loop.
    u16 at = context_.config.read(address_, kCapabilities, 1) & 0xfc;
    for (unsigned left = 48; at >= 0x40 && left > 0; --left) {
        const u32 header = context_.config.read(address_, at, 2);
        const u8 id      = static_cast<u8>(header);
        if (id == kCapabilityMsi && !msi_)
            msi_ = TRY(make_unique<Msi>(context_, address_, at));
        if (id == kCapabilityMsix && !msix_)
            msix_ = TRY(Msix::create(context_, address_, at));
        at = header >> 8 & 0xfc;
    }
    return {};
}

unsigned Pci_function::bar_count() const
{
    const u8 layout = header_type_ & static_cast<u8>(~kHeaderMultifunction);
    return layout == 0 ? 6 : layout == 1 ? 2 : 0;
}

u32 Pci_function::read_bar(unsigned bar) const
{
    return context_.config.read(address_, static_cast<u16>(kFirstBar + 4 * bar), 4);
}

// Where the register says, whatever the size of what it maps: RAM is never trapped.
u64 Pci_function::find_table() const
{
    if (!msix_ || !(context_.config.read(address_, kCommand, 2) & kCommandMemory))
        return 0;
    const auto [bar, offset] = msix_->place();
    if (bar >= bar_count())
        return 0;
    const u32 low = read_bar(bar);
    if (low & kBarIo)
        return 0;
    u64 start = low & kBarAddressMask;
    if ((low & kBarWidthMask) == kBarWide && bar + 1u < bar_count())
        start |= static_cast<u64>(read_bar(bar + 1u)) << 32;
    const bool wraps = start + offset + msix_->table_bytes() < start;
    return start == 0 || wraps ? 0 : start + offset;
}

void Pci_function::switch_off()
{
    if (msi_)
        msi_->switch_off();
    if (msix_)
        msix_->switch_off();
}

u32 Pci_function::read(u16 offset, u8 size) const
{
    u32 value = context_.config.read(address_, offset, size);
    for (unsigned i = 0; i < size; ++i) {
        const u16 at = static_cast<u16>(offset + i);
        u8 byte      = static_cast<u8>(value >> 8 * i);
        if (msi_ && msi_->covers(at))
            byte = msi_->read(at);
        else if (msix_ && msix_->covers(at))
            byte = msix_->read(at);
        value = (value & ~(0xffu << 8 * i)) | static_cast<u32>(byte) << 8 * i;
    }
    return value;
}

// An access that touches a virtual register goes nowhere else: its neighbours in the doubleword, the id
// and the link of the capability, are read-only.
void Pci_function::write(u16 offset, u8 size, u32 value)
{
    bool to_msi = false, to_msix = false;
    for (unsigned i = 0; i < size; ++i) {
        const u16 at  = static_cast<u16>(offset + i);
        const u8 byte = static_cast<u8>(value >> 8 * i);
        if (msi_ && msi_->covers(at)) {
            msi_->write(at, byte);
            to_msi = true;
        } else if (msix_ && msix_->covers(at)) {
            msix_->write(at, byte);
            to_msix = true;
        }
    }
    if (to_msi)
        msi_->apply();
    if (to_msix)
        msix_->apply();
    if (!to_msi && !to_msix)
        context_.config.write(address_, offset, size, value);
}

} // namespace vmm

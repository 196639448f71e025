// SPDX-License-Identifier: Apache-2.0
#include "emul/pci/msi.hpp"

#include "debug/log.hpp"
#include "emul/pci/pci_registers.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

using namespace pci;

// Places within the capability.
constexpr u8 kControl = 2, kAddress = 4, kAddressHigh = 8;

} // namespace

Msi::Msi(Pci_context& context, Pci_address function, u16 capability)
    : context_(context), function_(function), capability_(capability),
      device_control_(
          static_cast<u16>(context.config.read(function, static_cast<u16>(capability + kControl), 2)))
{
    device_control_ &= static_cast<u16>(~(kMsiEnable | kMsiMultiple));
    write_device(kControl, 2, device_control_);

    const bool wide = device_control_ & kMsiWide;
    data_at_        = wide ? 12 : 8;
    size_           = static_cast<u8>(data_at_ + 2);
    if (device_control_ & kMsiMaskable) {
        mask_at_ = static_cast<u8>(data_at_ + 4);
        size_    = static_cast<u8>(data_at_ + 12);
    }

    bytes_[kControl]     = static_cast<u8>(device_control_);
    bytes_[kControl + 1] = static_cast<u8>(device_control_ >> 8);
    writable_[kControl]  = kMsiEnable;
    std::fill_n(&writable_[kAddress], wide ? 8 : 4, u8{0xff});
    writable_[kAddress] = 0xfc;
    std::fill_n(&writable_[data_at_], 2, u8{0xff});
    if (mask_at_)
        writable_[mask_at_] = 1;
}

u32 Msi::get(unsigned at, unsigned bytes) const
{
    u32 value = 0;
    for (unsigned i = bytes; i-- > 0;)
        value = value << 8 | bytes_[at + i];
    return value;
}

bool Msi::enabled() const { return bytes_[kControl] & kMsiEnable; }
bool Msi::masked() const { return mask_at_ && (bytes_[mask_at_] & 1); }

void Msi::write_device(unsigned at, u8 bytes, u32 value) const
{
    context_.config.write(function_, static_cast<u16>(capability_ + at), bytes, value);
}

u8 Msi::read(u16 offset) const
{
    const unsigned at = offset - capability_;
    if (mask_at_ && at == mask_at_ + 4u) // pending bits
        return static_cast<u8>((context_.config.read(function_, offset, 1) & 1) | pending_);
    return bytes_[at];
}

void Msi::write(u16 offset, u8 value)
{
    const unsigned at = offset - capability_;
    bytes_[at]        = static_cast<u8>((bytes_[at] & ~writable_[at]) | (value & writable_[at]));
}

void Msi::program_device() const
{
    write_device(kAddress, 4, static_cast<u32>(host_.address));
    if (device_control_ & kMsiWide)
        write_device(kAddressHigh, 4, static_cast<u32>(host_.address >> 32));
    write_device(data_at_, 2, host_.data);
    if (mask_at_)
        write_device(mask_at_, 4, masked());
    write_device(kControl, 2, device_control_ | kMsiEnable);
}

// Programs the device each time, not only on a change: it may have been reset since.
void Msi::apply()
{
    if (!enabled()) {
        write_device(kControl, 2, device_control_);
        if (bound_)
            host_interrupts::release_msi(host_);
        bound_ = pending_ = false;
        return;
    }
    if (!bound_) {
        const u32 cpu = cpu_of_destination(context_.domain, message());
        auto host     = host_interrupts::bind_msi(cpu, raised, this);
        if (!host) {
            log::guest(log::Level::warning, "no host vector for the MSI of {x}:{x} (error {})", function_.bus,
                       function_.devfn, host.error());
            bytes_[kControl] &= static_cast<u8>(~kMsiEnable);
            return;
        }
        host_  = *host;
        bound_ = true;
    }
    program_device();
    if (pending_ && !masked())
        send();
}

void Msi::switch_off()
{
    if (!enabled())
        return;
    bytes_[kControl] &= static_cast<u8>(~kMsiEnable);
    apply();
}

std::optional<Interrupt_message> Msi::message() const
{
    const u64 high = device_control_ & kMsiWide ? get(kAddressHigh, 4) : 0;
    return message_of_msi(high << 32 | get(kAddress, 4), get(data_at_, 2));
}

void Msi::send()
{
    pending_ = false;
    if (const auto what = message())
        deliver(context_.domain, *what);
}

void Msi::raised(void* msi) { static_cast<Msi*>(msi)->raise(); }

void Msi::raise()
{
    const Lock_guard guard(context_.lock);
    if (!enabled())
        return;
    pending_ = true;
    if (!masked())
        send();
}

} // namespace vmm

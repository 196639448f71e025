// SPDX-License-Identifier: Apache-2.0
#include "emul/pci/pci_bars.hpp"

#include "emul/pci/pci_registers.hpp"

namespace vmm
{

using namespace pci;

namespace
{

constexpr u16 place_of(unsigned bar) { return static_cast<u16>(kFirstBar + 4 * bar); }

} // namespace

u32 Pci_bars::read(unsigned bar) const { return context_.config.read(function_, place_of(bar), 4); }
void Pci_bars::write(unsigned bar, u32 value) const
{
    context_.config.write(function_, place_of(bar), 4, value);
}

void Pci_bars::find_sizes(unsigned count)
{
    const u32 command = context_.config.read(function_, kCommand, 2);
    context_.config.write(function_, kCommand, 2, command & ~(kCommandMemory | kCommandIo));
    for (unsigned bar = 0; bar < count; ++bar) {
        const u32 low = read(bar);
        if (low & kBarIo)
            continue;
        const bool wide = (low & kBarWidthMask) == kBarWide && bar + 1 < count;
        bars_[bar]      = {.size = find_size(bar, wide), .wide = wide};
        bar += wide;
    }
    context_.config.write(function_, kCommand, 2, command);
}

// The address bits that a device does not decode read as zero, whatever is written.
u64 Pci_bars::find_size(unsigned bar, bool wide) const
{
    const u32 low = read(bar);
    write(bar, ~0u);
    u64 decoded = read(bar) & kBarAddressMask;
    write(bar, low);
    if (!wide)
        return decoded ? static_cast<u32>(~decoded) + u64{1} : 0;
    const u32 high = read(bar + 1);
    write(bar + 1, ~0u);
    decoded |= static_cast<u64>(read(bar + 1)) << 32;
    write(bar + 1, high);
    return ~decoded + 1;
}

bool Pci_bars::decoding() const { return context_.config.read(function_, kCommand, 2) & kCommandMemory; }

Address_range Pci_bars::range(unsigned bar) const
{
    if (bar >= kMax || bars_[bar].size == 0)
        return {};
    u64 start = read(bar) & kBarAddressMask;
    if (bars_[bar].wide)
        start |= static_cast<u64>(read(bar + 1)) << 32;
    return start ? Address_range{start, bars_[bar].size} : Address_range{};
}

} // namespace vmm

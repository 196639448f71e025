// SPDX-License-Identifier: Apache-2.0
//
// PHYSDEVOP_*: what dom0 tells about PCI functions that come and go and about configuration windows. There
// are no pirqs: the calls about them, and all calls of domains without devices, answer as Xen answers a PVH
// guest without them. [xen/include/public/physdev.h]
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "emul/domain_devices.hpp"
#include "exit/guest_memory.hpp"
#include "hypercall/hypercall.hpp"

#include <xen/physdev.h>

namespace vmm
{
namespace
{

// A window that is known already needs nothing; one that contradicts those that are known is refused.
Hypercall_result pci_mmcfg_reserved(Vcpu& vcpu, Pci_host& pci, Gva arg)
{
    const auto op = TRY(read_guest<physdev_pci_mmcfg_reserved>(vcpu, arg));
    if (!(op.flags & XEN_PCI_MMCFG_RESERVED))
        return 0;
    const Pci_ecam window{
        .address = op.address, .segment = op.segment, .first_bus = op.start_bus, .last_bus = op.end_bus};
    if (!pci.has_window(window))
        TRY(pci.add_window(window));
    return 0;
}

Hypercall_result pci_device_add(Vcpu& vcpu, Pci_host& pci, Gva arg)
{
    // Without the optional proximity number behind it, which nothing here depends on.
    struct Fixed_part {
        u16 seg;
        u8 bus, devfn;
        u32 flags;
        u8 physical_function[2];
    };
    const auto op = TRY(read_guest<Fixed_part>(vcpu, arg));
    TRY(pci.add_function({.segment = op.seg, .bus = op.bus, .devfn = op.devfn}));
    return 0;
}

Hypercall_result pci_device_remove(Vcpu& vcpu, Pci_host& pci, Gva arg)
{
    const auto op = TRY(read_guest<physdev_pci_device>(vcpu, arg));
    TRY(pci.remove_function({.segment = op.seg, .bus = op.bus, .devfn = op.devfn}));
    return 0;
}

} // namespace

Hypercall_result do_physdev_op(Vcpu& vcpu, Hypercall_args& args)
{
    Domain_devices* devices = vcpu.domain().devices();
    if (!devices)
        return fail(Errc::enosys);
    const Gva arg(args.a[1]);
    switch (args.a[0]) {
    case PHYSDEVOP_pci_mmcfg_reserved: return pci_mmcfg_reserved(vcpu, devices->pci(), arg);
    case PHYSDEVOP_pci_device_add: return pci_device_add(vcpu, devices->pci(), arg);
    case PHYSDEVOP_pci_device_remove: return pci_device_remove(vcpu, devices->pci(), arg);
    case PHYSDEVOP_dbgp_op: // no debug port is the hypervisor's, so nobody waits for the answer
        TRY(read_guest<physdev_dbgp_op>(vcpu, arg));
        return 0;
    default: return fail(Errc::enosys);
    }
}

} // namespace vmm

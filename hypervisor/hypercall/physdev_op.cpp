// SPDX-License-Identifier: Apache-2.0
//
// PHYSDEVOP_*: what dom0 tells about PCI functions that come and go and about configuration windows. There
// are no pirqs: the calls about them, and all calls of domains without devices, answer as Xen answers a PVH
// guest without them. [xen/include/public/physdev.h]
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "emul/domain_devices.hpp"
#include "hypercall/argument.hpp"

#include <xen/physdev.h>

namespace vmm
{
namespace
{

// Of a domain that has devices.
Pci_host& pci_of(Vcpu& vcpu) { return vcpu.domain().devices()->pci(); }

Expected<void> pci_mmcfg_reserved(Vcpu& vcpu, const physdev_pci_mmcfg_reserved& op)
{
    if (!(op.flags & XEN_PCI_MMCFG_RESERVED))
        return {};
    return pci_of(vcpu).add_window(
        {.address = op.address, .segment = op.segment, .first_bus = op.start_bus, .last_bus = op.end_bus});
}

// physdev_pci_device_add without the optional proximity number at its end, which nothing here depends on.
struct Pci_device_add {
    u16 seg;
    u8 bus, devfn;
    u32 flags;
    u8 physical_function[2];
};

Expected<void> pci_device_add(Vcpu& vcpu, const Pci_device_add& op)
{
    return pci_of(vcpu).add_function({.segment = op.seg, .bus = op.bus, .devfn = op.devfn});
}

Expected<void> pci_device_remove(Vcpu& vcpu, const physdev_pci_device& op)
{
    return pci_of(vcpu).remove_function({.segment = op.seg, .bus = op.bus, .devfn = op.devfn});
}

// No debug port is the hypervisor's, so nobody waits for the answer.
Expected<void> debug_port_op(Vcpu&, const physdev_dbgp_op&) { return {}; }

} // namespace

Hypercall_result do_physdev_op(Vcpu& vcpu, Hypercall_args& args)
{
    if (!vcpu.domain().devices())
        return fail(Errc::enosys);
    const Gva arg(args.a[1]);
    switch (args.a[0]) {
    case PHYSDEVOP_pci_mmcfg_reserved: return with_argument(vcpu, arg, pci_mmcfg_reserved);
    case PHYSDEVOP_pci_device_add: return with_argument(vcpu, arg, pci_device_add);
    case PHYSDEVOP_pci_device_remove: return with_argument(vcpu, arg, pci_device_remove);
    case PHYSDEVOP_dbgp_op: return with_argument(vcpu, arg, debug_port_op);
    default: return fail(Errc::enosys);
    }
}

} // namespace vmm

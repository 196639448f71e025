// SPDX-License-Identifier: Apache-2.0
//
// What every virtual part of a PCI function shares with the others: the domain, the machine's configuration
// space and the one lock. Owned by Pci_host.
#pragma once

#include "base/spinlock.hpp"
#include "emul/pci/pci_config.hpp"

namespace vmm
{

class Domain;

struct Pci_context {
    Domain& domain;
    Pci_config config{};
    Spinlock lock{Lock_rank::devices};
};

} // namespace vmm

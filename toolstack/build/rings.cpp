// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/rings.hpp"

#include "toolstack/build/layout.hpp"

#include <xen/grant_table.h>
#include <xen/hvm/params.h>

#include <cstring>

namespace vmm
{

Result<Built_domain> connect_rings(Build_control& build, Domid id)
{
    Built_domain built;
    built.store_page   = kStorePage;
    built.console_page = kConsolePage;
    built.store_port   = TRY(build.alloc_unbound(id, kDom0));
    built.console_port = TRY(build.alloc_unbound(id, kDom0));
    TRY(build.set_param(id, HVM_PARAM_STORE_PFN, raw(kStorePage)));
    TRY(build.set_param(id, HVM_PARAM_STORE_EVTCHN, raw(built.store_port)));
    TRY(build.set_param(id, HVM_PARAM_CONSOLE_PFN, raw(kConsolePage)));
    TRY(build.set_param(id, HVM_PARAM_CONSOLE_EVTCHN, raw(built.console_port)));

    const Mapped_pages table = TRY(build.map_grant_table(id, 0));
    const auto seed          = [&](Grant_ref ref, Gfn page) {
        grant_entry_v1_t entry{};
        entry.flags = GTF_permit_access;
        entry.domid = raw(kDom0);
        entry.frame = static_cast<std::uint32_t>(raw(page));
        std::memcpy(table.data() + raw(ref) * sizeof entry, &entry, sizeof entry);
    };
    seed(kConsoleGrant, kConsolePage);
    seed(kStoreGrant, kStorePage);
    return built;
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "event/shared_page.hpp"

#include "domain/domain.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/p2m.hpp"

namespace vmm
{

Expected<Shared_page> Shared_page::hold(Domain& domain, Gfn gfn)
{
    const P2m_entry entry = domain.p2m().lookup(gfn);
    if (entry.type != P2m_type::ram || !frames.get_from(entry.mfn, domain.id()))
        return fail(Errc::einval);
    return Shared_page(entry.mfn);
}

Shared_page::~Shared_page()
{
    if (mfn_ != kInvalidMfn)
        frames.put(mfn_);
}

} // namespace vmm

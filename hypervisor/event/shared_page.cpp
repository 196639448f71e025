// SPDX-License-Identifier: Apache-2.0
#include "event/shared_page.hpp"

#include "domain/domain.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/p2m.hpp"

namespace vmm
{

Expected<Shared_page> Shared_page::hold(Domain& domain, Gfn gfn)
{
    const Mfn mfn = domain.p2m().hold_own(gfn);
    if (mfn == kInvalidMfn)
        return fail(Errc::einval);
    return Shared_page(mfn);
}

Shared_page::~Shared_page()
{
    if (mfn_ != kInvalidMfn)
        frames.put(mfn_);
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#include "mm/shared_page.hpp"

#include "mm/frame_allocator.hpp"
#include "mm/p2m.hpp"

namespace vmm
{

Expected<Shared_page> Shared_page::hold(P2m& p2m, Gfn gfn)
{
    const Mfn mfn = p2m.hold_own(gfn);
    if (mfn == kInvalidMfn)
        return fail(Errc::einval);
    return Shared_page(mfn);
}

Shared_page::~Shared_page()
{
    if (mfn_ == kInvalidMfn)
        return;
    frames.mark_written(mfn_);
    frames.put(mfn_);
}

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#pragma once
// The grants of a real domain through /dev/xen/gntdev (libxengnttab).

#include "guest-drivers/backend/grants.hpp"
#include "toolstack/base/domid.hpp"
#include "toolstack/base/error.hpp"

extern "C" {
#include <xengnttab.h>
}

#include <memory>
#include <vector>

namespace vmm::block
{

class Xen_grants final : public Grants
{
  public:
    [[nodiscard]] static Result<std::unique_ptr<Xen_grants>> open(Domid frontend);

    [[nodiscard]] Mapped_pages map(std::span<const grant_ref_t> refs) override;
    void copy(std::span<Grant_copy> pieces) override;

  private:
    struct Close {
        void operator()(xengnttab_handle* handle) const { xengnttab_close(handle); }
    };

    Xen_grants(xengnttab_handle* handle, Domid frontend) : handle_(handle), frontend_(frontend) {}

    std::unique_ptr<xengnttab_handle, Close> handle_;
    Domid frontend_;
    std::vector<xengnttab_grant_copy_segment_t> segments_; // of the call being made
};

} // namespace vmm::block

// SPDX-License-Identifier: Apache-2.0
#pragma once
// Views of other domains' pages: by guest frame (libxenforeignmemory), by grant (libxengnttab) and by
// resource. Opens the kernel devices once. A view keeps the device open, and the pages of a domain that dies
// stay allocated until the last view of them is gone: let go of views on @releaseDomain.

#include "toolstack/base/error.hpp"
#include "toolstack/xen/mapped_pages.hpp"
#include "toolstack/xen/types.hpp"

#include <cstddef>
#include <memory>
#include <vector>

extern "C" {
#include <xenforeignmemory.h>
#include <xengnttab.h>
}

namespace vmm
{

class Foreign_memory
{
  public:
    [[nodiscard]] static Result<Foreign_memory> open();
    [[nodiscard]] Result<Mapped_pages> map(Domid id, std::span<const std::uint64_t> frames) const;
    // Read-only, and without those that have no memory (build_control.hpp).
    [[nodiscard]] Result<Mapped_pages> map_present(Domid id, std::span<const std::uint64_t> frames,
                                                   std::vector<bool>& present) const;
    [[nodiscard]] Result<Mapped_pages> map_grant_table(Domid id, unsigned frame) const;

  private:
    explicit Foreign_memory(std::shared_ptr<xenforeignmemory_handle> handle) : handle_(std::move(handle)) {}
    [[nodiscard]] Mapped_pages own(void* view, std::size_t pages) const;

    std::shared_ptr<xenforeignmemory_handle> handle_;
};

class Grant_memory
{
  public:
    [[nodiscard]] static Result<Grant_memory> open();
    [[nodiscard]] Result<Mapped_pages> map(Domid id, Grant_ref ref) const;

  private:
    explicit Grant_memory(std::shared_ptr<xengnttab_handle> handle) : handle_(std::move(handle)) {}
    std::shared_ptr<xengnttab_handle> handle_;
};

} // namespace vmm

// SPDX-License-Identifier: Apache-2.0
#pragma once
// The pages a frontend grants, as the backend uses them: mapped, or copied by the hypervisor. One object is
// one frontend. Each call is at least one hypercall. The tests have a grant table of their own behind it.

#include "toolstack/xen/mapped_pages.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

#include <xen/grant_table.h>

namespace vmm::block
{

struct Grant_copy {
    enum class Direction : std::uint8_t { from_frontend, to_frontend };

    grant_ref_t ref      = 0;
    std::uint16_t offset = 0;
    std::uint16_t length = 0; // within the page
    Direction direction  = Direction::from_frontend;
    std::byte* local     = nullptr; // does not cross a page
    std::uint32_t tag    = 0;       // the caller's
    bool done            = false;   // set by copy()
};

class Grants
{
  public:
    virtual ~Grants() = default;

    // The pages one after the other, writable; empty if one of them cannot be had.
    [[nodiscard]] virtual Mapped_pages map(std::span<const grant_ref_t> refs) = 0;
    virtual void copy(std::span<Grant_copy> pieces)                           = 0;
};

} // namespace vmm::block

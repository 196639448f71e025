// SPDX-License-Identifier: Apache-2.0
#pragma once
// dom0's end of a paravirtual console ring (<xen/io/console.h>): takes what the guest printed, gives what was
// typed. The page is shared with a guest that may write anything to it at any time: each index is read once,
// and a distance that cannot be makes the ring start over. It neither notifies nor waits; the owner does.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <cstdint>

#include <xen/io/console.h>

namespace vmm
{

class Console_ring
{
  public:
    explicit Console_ring(xencons_interface* page) : page_(page) {}

    // Appends at most `limit` bytes of output to `text`; returns how many.
    std::size_t take_output(std::string& text, std::size_t limit);
    // Returns how many bytes of input fitted.
    std::size_t give_input(std::string_view text);
    [[nodiscard]] std::size_t input_space() const;

  private:
    xencons_interface* page_;
};

} // namespace vmm

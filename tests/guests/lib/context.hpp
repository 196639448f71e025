// SPDX-License-Identifier: Apache-2.0
//
// The HVM context of a domain, as a toolstack gets and sets it, and the records in it. There is one at a
// time.
#pragma once

#include "guest/types.hpp"

#include <xen/hvm/save.h>
#include <xen/xen.h>

namespace vmm::guest_test
{

class Context
{
  public:
    // Negative errno.
    static guest::s64 get(domid_t domain);
    static guest::s64 set(domid_t domain);
    // The first record of that type; null when there is none.
    template <class Record>
    static Record* find(guest::u32 type)
    {
        return static_cast<Record*>(find_body(type));
    }
    static HVM_SAVE_TYPE(CPU) * cpu() { return find<HVM_SAVE_TYPE(CPU)>(HVM_SAVE_CODE(CPU)); }
    // One more record of vCPU 0, before the end.
    static void append(guest::u32 type, const void* body, guest::u32 size);

  private:
    static void* find_body(guest::u32 type);
};

} // namespace vmm::guest_test

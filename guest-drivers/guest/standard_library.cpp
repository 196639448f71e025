// SPDX-License-Identifier: Apache-2.0
//
// What inline functions of the standard library call when they are used wrongly, and what stands in the
// tables of abstract classes: each is a bug of the guest's own, which ends it with its reason.
#include "guest/hypercall.hpp"
#include "guest/print.hpp"

namespace std
{

void __throw_out_of_range_fmt(const char* what, ...)
{
    vmm::guest::print("out of range: ", what);
    vmm::guest::shut_down(SHUTDOWN_crash);
}

} // namespace std

extern "C" [[noreturn]] void __cxa_pure_virtual()
{
    vmm::guest::print("a function of an abstract class was called");
    vmm::guest::shut_down(SHUTDOWN_crash);
}

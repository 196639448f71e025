// SPDX-License-Identifier: Apache-2.0
//
// A domU that means harm, for tests/system/hostile.py: it connects to its backends and then breaks every rule
// of the ring protocols, one attack for each command that is typed.
//
// - Nodes that are rubbish: ring references nobody granted, ports that are not bound, numbers that are none.
// - Requests that are rubbish: lengths and sectors out of bounds, unknown operations, grants that are not
// there
//   or read-only, chains without an end. Each has to be refused by itself; nothing may be written.
// - Rings that are rubbish: producers far ahead, requests rewritten while the backend reads them.
// - Grants taken back and connections closed while requests are on their way.
//
// The backend may end the connection. It must not crash, hang, or touch what is not the guest's.
#include "domu_hostile/attacks.hpp"

#include "lib/verdict.hpp"

const char* const kTestName = "domu_hostile";

// It is no test as a first domain.
void test_main() { SKIP("this guest is run by tests/system/hostile.py"); }

void child_main()
{
    using namespace vmm::domu;
    static constexpr std::array kCommands{Command{"net", 1, net_attack}, Command{"disk", 2, disk_attack}};
    if (!start()) {
        vmm::guest::print("the guest has no console or no store");
        return;
    }
    serve(kCommands, [] { return false; });
}

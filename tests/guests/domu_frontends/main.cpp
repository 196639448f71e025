// SPDX-License-Identifier: Apache-2.0
//
// A domU with every frontend of guest-drivers, for tests/system/frontends.py. It is started by xm with a
// network interface and disks, prints a prompt on its console, and does what is typed there:
//
// - store: nodes are written, read, listed and removed; what a guest may not is refused; values larger than
// the
//   ring arrive whole; watches tell of changes made in dom0; transactions are all or nothing, also while
//   somebody else writes.
// - net: the device connects; ARP, thousands of ICMP echoes in flight together with content of their own
// each,
//   DNS over UDP with checksums filled in and left to the backend; junk is refused on both sides; the
//   interface can be closed and opened again.
// - disk: sectors with content of their own each are written and read back by many requests of all lengths in
//   flight; flush and discard; what the disk cannot do is refused; it can be closed, opened, taken and given
//   back.
//
// Each command's last line is its verdict. The scenario compares what both sides have seen.
#include "domu_frontends/commands.hpp"
#include "lib/shell.hpp"

#include "lib/verdict.hpp"

#include <algorithm>

const char* const kTestName = "domu_frontends";

// It is no test as a first domain.
void test_main() { SKIP("this guest is run by tests/system/frontends.py"); }

namespace vmm::domu
{

namespace
{

constexpr auto kCommands = [] {
    std::array<Command, kStoreCommands.size() + kNetCommands.size() + kDiskCommands.size()> all{};
    auto* to = all.data();
    for (const std::span<const Command> some :
         {std::span<const Command>(kStoreCommands), std::span<const Command>(kNetCommands),
          std::span<const Command>(kDiskCommands)})
        to = std::copy(some.begin(), some.end(), to);
    return all;
}();

// While nobody types.
bool idle()
{
    static u64 seen = 0;
    if (const u64 now = store.notices(); now != seen) {
        seen = now;
        follow_network();
        follow_disk();
        return true;
    }
    return answer_network();
}

} // namespace

} // namespace vmm::domu

void child_main()
{
    if (!vmm::domu::start()) {
        vmm::guest::print("the guest has no console or no store");
        return;
    }
    vmm::domu::serve(vmm::domu::kCommands, vmm::domu::idle);
}

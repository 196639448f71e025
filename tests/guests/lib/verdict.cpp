// SPDX-License-Identifier: Apache-2.0
#include "lib/verdict.hpp"

#include "guest/hypercall.hpp"
#include "guest/platform.hpp"

using namespace vmm;

namespace vmm::guest_test
{

namespace
{

constexpr const char* kWords[] = {"success", "skip", "error", "failure"};

constinit Verdict worst = Verdict::success;

const char* word_for(Verdict v) { return kWords[static_cast<unsigned>(v)]; }

} // namespace

void note(Verdict verdict, const char* file, int line, const guest::Line& reason)
{
    if (verdict > worst)
        worst = verdict;
    guest::print(word_for(verdict), ": ", file, ":", line, ": ", reason.text());
}

Verdict verdict() { return worst; }

void finish()
{
    guest::print("VERDICT ", kTestName, " ", word_for(worst));
    guest::shut_down(SHUTDOWN_poweroff);
}

} // namespace vmm::guest_test

void child_main() {}

void guest_main()
{
    if (!guest::is_dom0()) {
        child_main();
        return;
    }
    guest::print("TEST ", kTestName);
    test_main();
    vmm::guest_test::finish();
}

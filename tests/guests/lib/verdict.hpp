// SPDX-License-Identifier: Apache-2.0
//
// How a micro-guest judges. Each check can only make the verdict worse: success, skip (cannot be tried
// here), error (the test itself could not do its work), failure (the hypervisor did wrong). At the end one
// line `VERDICT name word` is printed, which is all the runner looks at; the lines before it say why.
//
// A test defines kTestName and test_main(), and child_main() if it makes a second domain: the same image
// runs there.
#pragma once

#include "guest/print.hpp"

extern const char* const kTestName;
void test_main();
[[gnu::weak]] void child_main();

namespace vmm::guest_test
{

using guest::s64;
using guest::u32;
using guest::u64;

enum class Verdict : unsigned { success, skip, error, failure };

// Notes a verdict with its reason.
void note(Verdict verdict, const char* file, int line, const guest::Line& reason);
[[nodiscard]] Verdict verdict();
// Prints the verdict and ends the machine.
[[noreturn]] void finish();

template <class... Pieces>
void note_pieces(Verdict verdict, const char* file, int line, const Pieces&... pieces)
{
    guest::Line reason;
    (reason.put(pieces), ...);
    note(verdict, file, line, reason);
}

template <class Got, class Want>
void check_equal(Got got, Want want, const char* what, const char* file, int line)
{
    if (got == static_cast<Got>(want))
        return;
    note_pieces(Verdict::failure, file, line, what, " is ", got, " (", guest::hex(static_cast<u64>(got)),
                "), not ", static_cast<Got>(want));
}

} // namespace vmm::guest_test

#define NOTE(kind, ...)                                                                                      \
    ::vmm::guest_test::note_pieces(::vmm::guest_test::Verdict::kind, __FILE_NAME__, __LINE__, __VA_ARGS__)
// The hypervisor must have it so.
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            NOTE(failure, "not so: " #condition);                                                            \
    } while (false)
#define CHECK_EQUAL(got, want) ::vmm::guest_test::check_equal(got, want, #got, __FILE_NAME__, __LINE__)
// What the test needs before it can try anything: if it is not so, it ends here.
#define NEED(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            NOTE(error, "cannot go on without: " #condition);                                                \
            ::vmm::guest_test::finish();                                                                     \
        }                                                                                                    \
    } while (false)
#define SKIP(...)                                                                                            \
    do {                                                                                                     \
        NOTE(skip, __VA_ARGS__);                                                                             \
        ::vmm::guest_test::finish();                                                                         \
    } while (false)

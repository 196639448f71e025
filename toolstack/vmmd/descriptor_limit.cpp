// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/descriptor_limit.hpp"

#include <sys/resource.h>

namespace vmm
{

Result<void> raise_descriptor_limit()
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit); // cannot fail for one's own
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return fail_errno("cannot raise the limit of open files");
    }
    return {};
}

} // namespace vmm

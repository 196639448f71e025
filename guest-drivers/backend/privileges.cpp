// SPDX-License-Identifier: Apache-2.0
#include "guest-drivers/backend/privileges.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace vmm::block
{

Result<void> drop_privileges()
{
    if (chdir("/") < 0) {
        return fail_errno("cannot change to /");
    }
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0) {
        return fail_errno("cannot give up privileges");
    }
    return {};
}

} // namespace vmm::block

// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/sysctl.hpp"

#include "toolstack/base/unique_fd.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace vmm::net
{

Result<void> set_sysctl(const std::string& name, const std::string& value)
{
    const std::string path = "/proc/sys/net/" + name;
    const Unique_fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd || ::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
        return fail_errno("cannot set " + path + " to " + value);
    }
    return {};
}

} // namespace vmm::net

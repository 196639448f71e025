// SPDX-License-Identifier: Apache-2.0
#include "toolstack/base/start_thread.hpp"

#include <system_error>
#include <utility>

namespace vmm
{

Result<std::thread> start_thread(std::function<void()> body)
{
    try {
        return std::thread(std::move(body));
    } catch (const std::system_error& error) {
        const auto refused = fail_errno("cannot start a thread", error.code().value());
        return fail(refused.error().code, refused.error().message +
                                              "; end something, or allow more by TasksMax= of the service, "
                                              "kernel.threads-max or kernel.pid_max");
    }
}

} // namespace vmm

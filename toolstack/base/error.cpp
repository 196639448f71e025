// SPDX-License-Identifier: Apache-2.0
#include "toolstack/base/error.hpp"

#include <system_error>

namespace vmm
{

std::unexpected<Error> fail_errno(std::string_view what) { return fail_errno(what, errno); }

std::unexpected<Error> fail_errno(std::string_view what, int error_number)
{
    return fail(Errc(error_number), std::string(what) + ": " + std::generic_category().message(error_number));
}

} // namespace vmm

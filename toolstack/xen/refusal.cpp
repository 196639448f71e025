// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xen/refusal.hpp"

#include <string>
#include <system_error>

namespace vmm
{

std::unexpected<Error> refusal(const Error& from_call, std::string_view to_do_what, std::optional<Domid> id)
{
    if (!from_call.message.empty()) {
        return std::unexpected(from_call); // failed before it reached the hypervisor, and says so
    }
    if (id && from_call.code == Errc::no_such_domain) {
        return fail(Errc::no_such_domain, "there is no domain " + to_string(*id));
    }
    std::string text = "the hypervisor refused to " + std::string(to_do_what);
    if (id) {
        text += " domain " + to_string(*id);
    }
    return fail(from_call.code,
                text + ": " + std::generic_category().message(static_cast<int>(from_call.code)));
}

} // namespace vmm

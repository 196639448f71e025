// SPDX-License-Identifier: Apache-2.0
// rename, domid, domname: who is who.
#include "toolstack/xm/command.hpp"

#include "toolstack/config/domain_config.hpp"

namespace vmm::xm
{

Outcome<> rename(Invocation& invocation)
{
    const auto& name = invocation.word(1);
    if (const auto good = config::check_name(name); !good)
        return usage_error("the new name " + good.error());
    const auto answer =
        TRY(invocation.call(control::op::rename, {{"domain", invocation.word(0)}, {"name", name}}));
    invocation.print_json(answer);
    return {};
}

Outcome<> domid(Invocation& invocation)
{
    const auto answer = TRY(invocation.call(control::op::domid, {{"domain", invocation.word(0)}}));
    if (!invocation.print_json(answer))
        invocation.out() << TRY(number_field(answer, "domid")) << '\n';
    return {};
}

Outcome<> domname(Invocation& invocation)
{
    const auto answer = TRY(invocation.call(control::op::domname, {{"domain", invocation.word(0)}}));
    if (!invocation.print_json(answer))
        invocation.out() << one_line(TRY(text_field(answer, "name"))) << '\n';
    return {};
}

} // namespace vmm::xm

// SPDX-License-Identifier: Apache-2.0
// mem-set, mem-max.
#include "toolstack/xm/command.hpp"

#include "toolstack/xm/memory_size.hpp"

namespace vmm::xm
{

namespace
{

Outcome<> set_memory(Invocation& invocation, std::string_view op)
{
    const auto kib = parse_memory_kib(invocation.word(1));
    if (!kib)
        return usage_error(kib.error());
    const auto answer = TRY(invocation.call(op, {{"domain", invocation.word(0)}, {"kib", *kib}}));
    invocation.print_json(answer);
    return {};
}

} // namespace

Outcome<> mem_set(Invocation& invocation) { return set_memory(invocation, control::op::mem_set); }

Outcome<> mem_max(Invocation& invocation) { return set_memory(invocation, control::op::mem_max); }

} // namespace vmm::xm

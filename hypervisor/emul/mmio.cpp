// SPDX-License-Identifier: Apache-2.0
#include "emul/mmio.hpp"

#include "arch/x86/regs/control.hpp"
#include "debug/log.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "emul/memory_instruction.hpp"
#include "exit/exit_loop.hpp"
#include "exit/guest_memory.hpp"

#include <array>

namespace vmm
{
namespace
{

Code_size code_size(const System_state& system)
{
    if ((system.efer & efer::lma) && (system.cs.attributes & segment_long))
        return Code_size::bits64;
    return system.cs.attributes & segment_default ? Code_size::bits32 : Code_size::bits16;
}

bool try_emulate(Vcpu& vcpu, const Nested_fault& fault, Mmio_device& device)
{
    if (fault.fetch || fault.page_walk)
        return false;
    const System_state system = vcpu.backend().read_system();
    const Code_size code      = code_size(system);
    const u64 address =
        code == Code_size::bits64 ? vcpu.regs.rip : static_cast<u32>(system.cs.base + vcpu.regs.rip);

    std::array<u8, kLongestInstruction> bytes;
    const auto instruction = decode_memory_instruction(fetch_instruction(vcpu, Gva(address), bytes), code);
    if (!instruction || page_offset(fault.gpa) + instruction->size > kPageSize)
        return false;
    perform(*instruction, fault.gpa, vcpu.regs, device);
    vcpu.backend().skip_instruction(vcpu.regs, instruction->length);
    return true;
}

} // namespace

void emulate_mmio(Vcpu& vcpu, const Nested_fault& fault, Mmio_device& device)
{
    if (try_emulate(vcpu, fault, device))
        return;
    log::guest(log::Level::warning, "d{}v{}: the instruction at {x} is not emulated on device memory at {x}",
               vcpu.domain().id(), vcpu.id(), vcpu.regs.rip, fault.gpa);
    inject_general_protection(vcpu);
}

} // namespace vmm

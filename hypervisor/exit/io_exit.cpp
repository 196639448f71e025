// SPDX-License-Identifier: Apache-2.0
//
// Port and memory accesses that no page and no bitmap lets through: dom0's go to its emulated devices, a
// domU's find nothing.
#include "debug/log.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "emul/absent_ports.hpp"
#include "emul/domain_devices.hpp"
#include "emul/host_access.hpp"
#include "emul/mmio.hpp"
#include "exit/exit_handlers.hpp"
#include "exit/exit_loop.hpp"
#include "exit/guest_memory.hpp"
#include "exit/vm_exit.hpp"
#include "sched/scheduler.hpp"

namespace vmm
{
namespace
{

// An IN of 1 or 2 bytes leaves the rest of RAX alone; one of 4 bytes zero-extends. [APM3, IN]
u64 merge_into_rax(u64 rax, u32 value, u8 size)
{
    switch (size) {
    case 1: return (rax & ~0xffull) | (value & 0xff);
    case 2: return (rax & ~0xffffull) | (value & 0xffff);
    default: return value;
    }
}

// What the guest was given to read, or nothing: what it writes there goes nowhere, as on Xen, and where
// nothing is it reads all ones, as on a bus without a device.
class Memory_to_read final : public Mmio_device
{
  public:
    explicit Memory_to_read(Domain& domain) : domain_(domain) {}

    u64 read(Gpa gpa, u8 size) override
    {
        u64 value = 0;
        return copy_from_guest_physical(domain_, &value, gpa, size) ? value : ~0ull;
    }
    void write(Gpa, u8, u64) override {}

  private:
    Domain& domain_;
};

// What it executes has to wait for a table; others may give memory back meanwhile.
void wait_for_memory(Vcpu& vcpu)
{
    log::guest(log::Level::warning, "d{}v{}: no memory is free for the small mappings that it executes from",
               vcpu.domain().id(), vcpu.id());
    scheduler::yield(vcpu);
}

// Tools that fork domains without promising memory for the copies take this into account.
void write_to_common(Vcpu& vcpu, Gfn gfn)
{
    if (vcpu.domain().p2m().make_own(gfn))
        return;
    log::error("d{}v{}: no memory is free for a copy of what it has in common with other domains, at guest "
               "memory {x}",
               vcpu.domain().id(), vcpu.id(), gfn.value() << kPageShift);
    vcpu.domain().crash(
        "it wrote to memory that it shares since a fork, and there is none left for its own copy");
}

} // namespace

void handle_io(Vcpu& vcpu, const Vm_exit& exit)
{
    const Io_access& io = exit.io;
    if (io.string) {
        // No device that is emulated here is driven with string instructions.
        inject_general_protection(vcpu);
        return;
    }
    u32 value = static_cast<u32>(vcpu.regs.rax);
    if (auto* devices = vcpu.domain().devices())
        devices->io(io, value);
    else
        absent_port(vcpu.domain().id(), io, value);
    if (io.in)
        vcpu.regs.rax = merge_into_rax(vcpu.regs.rax, value, io.size);
    vcpu.backend().skip_instruction(vcpu.regs, exit.instruction_length);
}

void handle_nested_fault(Vcpu& vcpu, const Vm_exit& exit)
{
    const Nested_fault& fault = exit.fault;
    if (auto* devices = vcpu.domain().devices(); devices && devices->mmio(vcpu, fault))
        return;
    // Another CPU, or the handler of an earlier exit, may have mapped it meanwhile.
    const auto entry = vcpu.domain().p2m().lookup(to_gfn(fault.gpa));
    if (fault.write && entry.type == P2m_type::ram_common)
        return write_to_common(vcpu, to_gfn(fault.gpa));
    if (entry.present() && (!fault.write || is_writable(entry.type))) {
        if (fault.write)
            vcpu.domain().p2m().permit_write(to_gfn(fault.gpa));
        if (fault.fetch && !vcpu.domain().p2m().permit_execute(to_gfn(fault.gpa)))
            wait_for_memory(vcpu);
        vcpu.backend().flush_tlb();
        return;
    }
    if (!entry.present() && host_access::give_on_touch(vcpu.domain(), fault.gpa))
        return;
    log::guest(log::Level::debug, "d{}v{}: {} of {} guest memory at {x}, rip {x}", vcpu.domain().id(),
               vcpu.id(),
               fault.fetch   ? "execution"
               : fault.write ? "write"
                             : "read",
               entry.present() ? "protected" : "absent", fault.gpa, vcpu.regs.rip);
    if (fault.fetch || fault.page_walk) {
        vcpu.domain().crash("it runs, or keeps its page tables, in memory that it does not have");
    } else {
        Memory_to_read memory(vcpu.domain());
        emulate_mmio(vcpu, fault, memory);
    }
}

} // namespace vmm

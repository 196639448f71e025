// SPDX-License-Identifier: Apache-2.0
#include "hypercall/dispatch.hpp"

#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/vendor.hpp"
#include "base/bits.hpp"
#include "base/panic.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "exit/vm_exit.hpp"
#include "hypercall/narrow_calls.hpp"

#include <cstring>

namespace vmm
{
namespace
{

constexpr unsigned kNumbers = 64;

// One row of hypercall/table.def.
struct Hypercall_row {
    Hypercall_handler handler;
    u8 arity;
    bool continuable;
};

Hypercall_result no_such_call(Vcpu&, Hypercall_args&) { return fail(Errc::enosys); }

constexpr std::array<Hypercall_row, kNumbers> make_table()
{
    std::array<Hypercall_row, kNumbers> table{};
    table.fill({no_such_call, 0, false});
#define HYPERCALL(number, name, arity, continuable)                                                          \
    static_assert((number) == __HYPERVISOR_##name && (arity) <= 5);                                          \
    table[number] = {do_##name, arity, continuable};
#include "hypercall/table.def"
#undef HYPERCALL
    return table;
}

constexpr auto kTable = make_table();

// A number beyond the table is taken for 0, which is none of these guests' either.
static_assert(kTable[0].handler == no_such_call);

const Hypercall_row& hypercall_row(u64 number) { return kTable[clip_index(number, kNumbers)]; }

#ifdef NDEBUG
void poison_arguments(Guest_registers&, u64) {}
void expect_continuable(u64) {}
#else
// The ABI leaves the argument registers undefined after a call. As in Xen's debug builds they are made
// useless, so that a guest that relies on one is found out.
void poison_arguments(Guest_registers& regs, u64 number)
{
    u64* const arguments[] = {&regs.rdi, &regs.rsi, &regs.rdx, &regs.r10, &regs.r8};
    for (unsigned i = 0; i < hypercall_row(number).arity; ++i)
        *arguments[i] = 0xdeadbeefdeadf00d;
}
void expect_continuable(u64 number) { ASSERT(hypercall_row(number).continuable); }
#endif

u64 to_register(const Hypercall_result& result)
{
    return result ? *result : static_cast<u64>(-static_cast<s64>(result.error()));
}

// RIP stays: the instruction executes again, after whatever is pending, from where it got to.
void come_again(Vcpu& vcpu, u64 number)
{
    expect_continuable(number);
    // A shadow that outlasts each entry may keep the machine's interrupts out as well.
    if (vcpu.backend().in_interrupt_shadow())
        take_pending_interrupts();
}

// 32-bit code, whose registers are others. False: it is to be executed again.
bool handle_narrow_call(Vcpu& vcpu)
{
    Guest_registers& regs  = vcpu.regs;
    u64* const registers[] = {&regs.rbx, &regs.rcx, &regs.rdx, &regs.rsi, &regs.rdi};
    Hypercall_args args{};
    for (std::size_t i = 0; i < args.a.size(); ++i)
        args.a[i] = static_cast<u32>(*registers[i]);
    const u64 number  = static_cast<u32>(regs.rax);
    const auto result = narrow_call(vcpu, number, args);
    if (!result && result.error() == Errc::erestart) {
        for (std::size_t i = 0; i < args.a.size(); ++i)
            *registers[i] = args.a[i];
        come_again(vcpu, number);
        return false;
    }
    regs.rax = static_cast<u32>(to_register(result));
    return true;
}

// Only a kernel may call, or what has its privilege before there is one.
void handle_other_call(Vcpu& vcpu, const Vm_exit& exit)
{
    if (vcpu.backend().paging().cpl != 0)
        vcpu.regs.rax = to_register(fail(Errc::eperm));
    else if (!handle_narrow_call(vcpu))
        return;
    vcpu.backend().skip_instruction(vcpu.regs, exit.instruction_length);
}

} // namespace

Hypercall_result call(Vcpu& vcpu, u64 number, Hypercall_args& args)
{
    return hypercall_row(number).handler(vcpu, args);
}

void handle_hypercall(Vcpu& vcpu, const Vm_exit& exit)
{
    Guest_registers& regs = vcpu.regs;
    if (!exit.from_kernel) [[unlikely]] {
        handle_other_call(vcpu, exit);
        return;
    }
    Hypercall_args args{{regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8}};
    const u64 number  = regs.rax;
    const auto result = call(vcpu, number, args);
    if (!result && result.error() == Errc::erestart) [[unlikely]] {
        regs.rdi = args.a[0];
        regs.rsi = args.a[1];
        regs.rdx = args.a[2];
        regs.r10 = args.a[3];
        regs.r8  = args.a[4];
        come_again(vcpu, number);
        return;
    }
    regs.rax = to_register(result);
    poison_arguments(regs, number);
    vcpu.backend().skip_instruction(regs, exit.instruction_length);
}

void fill_hypercall_page(std::byte* page)
{
    const auto instruction  = hypercall_instruction();
    // mov $n, %eax; the instruction; ret
    const u8 stub[]         = {0xb8, 0, 0, 0, 0, instruction[0], instruction[1], instruction[2], 0xc3};
    constexpr u8 ud2[]      = {0x0f, 0x0b};
    constexpr unsigned iret = 23; // has no meaning for these guests
    for (unsigned n = 0; n < 128; ++n) {
        std::byte* slot = page + n * 32;
        if (n == iret) {
            std::memcpy(slot, ud2, sizeof ud2);
            continue;
        }
        std::memcpy(slot, stub, sizeof stub);
        slot[1] = static_cast<std::byte>(n);
    }
}

} // namespace vmm

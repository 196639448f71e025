/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world switch of AMD-V.
 *
 *   void svm_enter(Guest_registers* regs, u64 guest_vmcb_pa, u64 host_vmcb_pa)
 *
 * Called with interrupts off. Between CLGI and VMRUN the interrupt flag is set with GIF clear, so that a
 * physical interrupt makes the guest exit instead of arriving here; VMRUN sets GIF, #VMEXIT clears it.
 * RAX, RSP, RIP and RFLAGS travel in the VMCB. VMLOAD/VMSAVE move the state VMRUN does not: FS, GS, TR,
 * LDTR, and the SYSCALL and SYSENTER registers. [APM2 15.5, 15.5.2, 15.17]
 */

#include "arch/x86/cpu/hardening_asm.h"
#include "arch/x86/cpu/world_switch_asm.h"

    .text
    .globl svm_enter
    .type svm_enter, @function
svm_enter:
    SAVE_HOST
    push %rdi               /* 16(%rsp) at the exit */
    push %rdx               /*  8(%rsp) */
    push %rsi               /*   (%rsp) */

    clgi
    sti
    BEFORE_ENTRY
    mov %rsi, %rax
    vmload %rax
    LOAD_GUEST

    CLEAR_BUFFERS
    vmrun %rax              /* RAX and RSP come back as they were */

    vmsave %rax
    mov 8(%rsp), %rax
    vmload %rax
    mov 16(%rsp), %rax
    STORE_GUEST %rax
    mov %rdi, REG_RDI(%rax)

    AFTER_EXIT %rax

    FORGET_GUEST

    cli
    stgi
    add $24, %rsp
    RESTORE_HOST
    ret
    .size svm_enter, . - svm_enter

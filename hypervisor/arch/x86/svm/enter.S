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

    .set REG_RCX, 1 * 8
    .set REG_RDX, 2 * 8
    .set REG_RBX, 3 * 8
    .set REG_RBP, 5 * 8
    .set REG_RSI, 6 * 8
    .set REG_RDI, 7 * 8
    .set REG_R8,  8 * 8     /* and so on to R15 */

#include "arch/x86/cpu/hardening_asm.h"

    .text
    .globl svm_enter
    .type svm_enter, @function
svm_enter:
    push %rbp
    mov %rsp, %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi               /* 16(%rsp) at the exit */
    push %rdx               /*  8(%rsp) */
    push %rsi               /*   (%rsp) */

    clgi
    sti
    BEFORE_ENTRY
    mov %rsi, %rax
    vmload %rax
    mov REG_RCX(%rdi), %rcx
    mov REG_RDX(%rdi), %rdx
    mov REG_RBX(%rdi), %rbx
    mov REG_RBP(%rdi), %rbp
    mov REG_RSI(%rdi), %rsi
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    mov REG_R8 + (\n - 8) * 8(%rdi), %r\n
    .endr
    mov REG_RDI(%rdi), %rdi

    CLEAR_BUFFERS
    vmrun %rax              /* RAX and RSP come back as they were */

    vmsave %rax
    mov 8(%rsp), %rax
    vmload %rax
    mov 16(%rsp), %rax
    mov %rcx, REG_RCX(%rax)
    mov %rdx, REG_RDX(%rax)
    mov %rbx, REG_RBX(%rax)
    mov %rbp, REG_RBP(%rax)
    mov %rsi, REG_RSI(%rax)
    mov %rdi, REG_RDI(%rax)
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    mov %r\n, REG_R8 + (\n - 8) * 8(%rax)
    .endr

    AFTER_EXIT %rax

    /* Nothing of the guest stays in a register that speculation could use as an address. */
    .irp register, ecx, edx, esi, edi, r8d, r9d, r10d, r11d
    xor %\register, %\register
    .endr

    cli
    stgi
    add $24, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size svm_enter, . - svm_enter

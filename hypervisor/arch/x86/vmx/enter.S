/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world switch of VT-x.
 *
 *   bool vmx_enter(Guest_registers* regs, bool launched)
 *
 * Called with interrupts off and the VMCS current; false when the CPU did not enter at all. RSP, RIP and RFLAGS
 * travel in the VMCS, CR2 by the caller. An exit continues at vmx_exit with RSP as it was at the entry; interrupts
 * stay off, and what is pending is taken by the caller. [SDM3 27, 28]
 */

    .set REG_RAX, 0 * 8
    .set REG_RCX, 1 * 8
    .set REG_RDX, 2 * 8
    .set REG_RBX, 3 * 8
    .set REG_RBP, 5 * 8
    .set REG_RSI, 6 * 8
    .set REG_RDI, 7 * 8
    .set REG_R8,  8 * 8     /* and so on to R15 */
    .set HOST_RSP, 0x6c14

#include "arch/x86/cpu/hardening_asm.h"

    .text
    .globl vmx_enter
    .type vmx_enter, @function
vmx_enter:
    push %rbp
    mov %rsp, %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi
    mov $HOST_RSP, %eax
    vmwrite %rsp, %rax

    BEFORE_ENTRY
    FLUSH_L1D

    bt $0, %esi             /* launched? CF stays as it is until the jump that asks */
    mov REG_RAX(%rdi), %rax
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
    jc 1f
    vmlaunch
    jmp 2f
1:  vmresume
2:  mov (%rsp), %rdi        /* still here: refused */
    xor %ebx, %ebx
    jmp 3f

    .globl vmx_exit
vmx_exit:
    cli                     /* it is so already, but Bochs (2.8) does not know it before it is said */
    push %rdi
    mov 8(%rsp), %rdi
    mov %rax, REG_RAX(%rdi)
    mov %rcx, REG_RCX(%rdi)
    mov %rdx, REG_RDX(%rdi)
    mov %rbx, REG_RBX(%rdi)
    mov %rbp, REG_RBP(%rdi)
    mov %rsi, REG_RSI(%rdi)
    popq REG_RDI(%rdi)
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    mov %r\n, REG_R8 + (\n - 8) * 8(%rdi)
    .endr
    mov $1, %ebx
3:  AFTER_EXIT %rdi
    mov %ebx, %eax

    /* Nothing of the guest stays in a register that speculation could use as an address. */
    .irp register, ecx, edx, esi, edi, r8d, r9d, r10d, r11d
    xor %\register, %\register
    .endr
    pop %rdi
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size vmx_enter, . - vmx_enter

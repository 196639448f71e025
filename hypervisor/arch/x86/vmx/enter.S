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

    .set HOST_RSP, 0x6c14

#include "arch/x86/cpu/hardening_asm.h"
#include "arch/x86/cpu/world_switch_asm.h"

    .text
    .globl vmx_enter
    .type vmx_enter, @function
vmx_enter:
    SAVE_HOST
    push %rdi
    mov $HOST_RSP, %eax
    vmwrite %rsp, %rax

    BEFORE_ENTRY
    FLUSH_L1D

    bt $0, %esi             /* launched? CF stays as it is until the jump that asks */
    mov REG_RAX(%rdi), %rax
    LOAD_GUEST
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
    popq REG_RDI(%rdi)
    STORE_GUEST %rdi
    mov $1, %ebx
3:  AFTER_EXIT %rdi
    mov %ebx, %eax

    FORGET_GUEST
    pop %rdi
    RESTORE_HOST
    ret
    .size vmx_enter, . - vmx_enter

/* SPDX-License-Identifier: Apache-2.0
 *
 * What both vendors' world switches do with registers. The host's are on the stack meanwhile, the guest's in
 * Guest_registers, but for those that travel in the vendor's own structure.
 */
#pragma once

    .set REG_RAX, 0 * 8
    .set REG_RCX, 1 * 8
    .set REG_RDX, 2 * 8
    .set REG_RBX, 3 * 8
    .set REG_RBP, 5 * 8
    .set REG_RSI, 6 * 8
    .set REG_RDI, 7 * 8
    .set REG_R8,  8 * 8     /* and so on to R15 */

.macro SAVE_HOST
    push %rbp
    mov %rsp, %rbp
    .irp register, rbx, r12, r13, r14, r15
    push %\register
    .endr
.endm

.macro RESTORE_HOST
    .irp register, r15, r14, r13, r12, rbx, rbp
    pop %\register
    .endr
.endm

/* All but RAX and RSP; from RDI, which is loaded last. */
.macro LOAD_GUEST
    mov REG_RCX(%rdi), %rcx
    mov REG_RDX(%rdi), %rdx
    mov REG_RBX(%rdi), %rbx
    mov REG_RBP(%rdi), %rbp
    mov REG_RSI(%rdi), %rsi
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    mov REG_R8 + (\n - 8) * 8(%rdi), %r\n
    .endr
    mov REG_RDI(%rdi), %rdi
.endm

/* All but RAX, RDI and RSP. */
.macro STORE_GUEST registers
    mov %rcx, REG_RCX(\registers)
    mov %rdx, REG_RDX(\registers)
    mov %rbx, REG_RBX(\registers)
    mov %rbp, REG_RBP(\registers)
    mov %rsi, REG_RSI(\registers)
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    mov %r\n, REG_R8 + (\n - 8) * 8(\registers)
    .endr
.endm

/* Nothing of the guest stays in a register that speculation could use as an address. */
.macro FORGET_GUEST
    .irp register, ecx, edx, esi, edi, r8d, r9d, r10d, r11d
    xor %\register, %\register
    .endr
.endm

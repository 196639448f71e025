/* SPDX-License-Identifier: Apache-2.0
 *
 * What the compiler makes of indirect calls and jumps (-mindirect-branch=thunk-extern). Where retpoline is needed the
 * target is reached by a RET whose prediction is known: it runs into the loop.
 */
#include "arch/x86/cpu/hardening_asm.h"

    .text
    .irp target, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    .balign 32
    .globl __x86_indirect_thunk_\target
    .type __x86_indirect_thunk_\target, @function
__x86_indirect_thunk_\target:
    UNLESS_NEEDED PIECE_RETPOLINE, jmp *%\target
    call 2f
1:  pause
    lfence
    jmp 1b
2:  mov %\target, (%rsp)
    ret
    .size __x86_indirect_thunk_\target, . - __x86_indirect_thunk_\target
    .endr

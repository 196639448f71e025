/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the CPU enters for each of the 256 vectors: a stub of 16 bytes pushes the vector (and a zero where
 * the CPU pushes no error code), then all registers are saved in the form of Exception_frame and
 * handle_vector(frame) runs, with interrupts off. [SDM3 6.13]
 */

    .text
    .balign 16
    .globl vector_stubs
vector_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    .else
    pushq $0
    .endif
    pushq $vector
    jmp save_and_handle
    .set vector, vector + 1
    .endr

    .balign 16
save_and_handle:
    push %rax
    push %rbx
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %rbp
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    call handle_vector
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rbp
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rbx
    pop %rax
    add $16, %rsp
    iretq

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
    .irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    push %\register
    .endr
    cld
    mov %rsp, %rdi
    call handle_vector
    .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
    pop %\register
    .endr
    add $16, %rsp
    iretq

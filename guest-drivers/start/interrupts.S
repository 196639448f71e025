// SPDX-License-Identifier: Apache-2.0
//
// One stub a vector: all of them build an Interrupt_frame (guest/interrupts.hpp) and call C++.

    .section .text
    .code64
    .altmacro
    .macro stub vector
    .align 16
    .if \vector != 8 && (\vector < 10 || \vector > 14) && \vector != 17 && \vector != 21 && \vector != 29 && \vector != 30
    pushq $0                    // exceptions without an error code, and interrupts
    .endif
    pushq $\vector
    jmp common_stub
    .endm

    .globl interrupt_stubs
    .align 16
interrupt_stubs:
    .set n, 0
    .rept 256
    stub %n
    .set n, n + 1
    .endr

common_stub:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    cld
    call interrupt_arrived
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq
    .section .note.GNU-stack, "", @progbits

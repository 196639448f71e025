/* SPDX-License-Identifier: Apache-2.0
 *
 * memcpy, memmove, memset, memcmp for the freestanding image: the compiler calls them on its own. Long
 * blocks go by string instructions, short ones by words, without start-up cost.
 */

    .text
    .globl memcpy, memmove, memset, memcmp

    .balign 16
memcpy:
    mov %rdi, %rax
    mov %rdx, %rcx
    shr $3, %rcx
    rep movsq
    mov %edx, %ecx
    and $7, %ecx
    rep movsb
    ret

    .balign 16
memmove:
    mov %rdi, %rax
    sub %rsi, %rax
    cmp %rdx, %rax                      /* destination inside the source: copy downwards */
    jae memcpy
    mov %rdi, %rax
    lea -1(%rdi, %rdx), %rdi
    lea -1(%rsi, %rdx), %rsi
    mov %rdx, %rcx
    std
    rep movsb
    cld
    ret

    .balign 16
memset:
    mov %rdi, %r8
    movzbl %sil, %eax
    mov $0x0101010101010101, %rcx
    imul %rcx, %rax
    mov %rdx, %rcx
    shr $3, %rcx
    rep stosq
    mov %edx, %ecx
    and $7, %ecx
    rep stosb
    mov %r8, %rax
    ret

    .balign 16
memcmp:
    mov %rdx, %rcx
    xor %eax, %eax
    cmp %rcx, %rcx                      /* equal, for a length of 0 */
    repe cmpsb
    je 1f
    movzbl -1(%rdi), %eax
    movzbl -1(%rsi), %ecx
    sub %ecx, %eax
1:  ret

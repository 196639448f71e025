/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands in for a hypervisor to find out when the loader hands over: a multiboot 1 image that prints its
 * time-stamp counter as 16 hexadecimal digits on COM1. Under -icount that is virtual nanoseconds since power-on.
 */
    .section .text
    .balign 4
header:
    .long 0x1badb002, 0x00010003, -(0x1badb002 + 0x00010003)
    .long header, header, end, end, start
    .globl start
start:
    rdtsc
    mov $stack, %esp
    push %eax
    mov %edx, %ebx
    call print
    pop %ebx
    call print
    mov $'\n', %al
    call put
1:  hlt
    jmp 1b

print:                          /* EBX, most significant digit first */
    mov $8, %ecx
2:  rol $4, %ebx
    mov %bl, %al
    and $15, %al
    cmp $10, %al
    jb 3f
    add $('a' - '0' - 10), %al
3:  add $'0', %al
    call put
    loop 2b
    ret

put:
    push %eax
    mov $0x3fd, %dx
4:  in %dx, %al
    test $0x20, %al
    jz 4b
    pop %eax
    mov $0x3f8, %dx
    out %al, %dx
    ret

    .balign 16
    .skip 256
stack:
end:

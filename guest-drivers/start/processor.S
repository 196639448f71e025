// SPDX-License-Identifier: Apache-2.0
//
// Where a vCPU starts that another one woke by a start-up message: in real mode, at the beginning of a page
// below 1 MiB that holds a copy of these bytes. In one step to long mode, with the tables of the first vCPU.
// [SDM3 9.4, 10.8.5]

    .section .text
    .code16
    .globl processor_start, processor_start_end
processor_start:
    cli
    cld
    movl %cr4, %eax
    orl $0x20, %eax             // PAE
    movl %eax, %cr4
    movl $top_table, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx      // EFER
    rdmsr
    orl $0x900, %eax            // LME, NXE
    wrmsr
    lgdtl %cs:(pointer - processor_start)
    movl %cr0, %eax
    orl $0x80010001, %eax       // PG, WP, PE
    movl %eax, %cr0
    ljmpl $0x08, $processor_long
    .balign 4
pointer:
    .word 23
    .long boot_gdt
processor_start_end:

    .code64
processor_long:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq processor_stack(%rip), %rsp
    xorl %ebp, %ebp
    call processor_runs
1:  hlt
    jmp 1b
    .section .note.GNU-stack, "", @progbits

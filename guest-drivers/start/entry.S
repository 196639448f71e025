// SPDX-License-Identifier: Apache-2.0
//
// From the PVH entry (32-bit, paging off, EBX = start info) to C++ in 64-bit mode: the first 8 GiB are
// mapped one to one with 2 MiB pages, writable, executable and open to user code, so that nothing a test
// does is hidden by the guest's own tables. [docs/misc/pvh.pandoc; SDM3 10.8.5]

#include "start/long_mode.h"

    .section .note.Xen, "a", @note
    .align 4
    .long 4, 4, 18              // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long start32

    .section .text.entry, "ax"
    .code32
    .globl start32
start32:
    cld
    movl $boot_stack_top, %esp
    movl %ebx, %ebp

    movl $page_directories, %edi
    movl $0x87, %eax            // present, writable, user, 2 MiB
    xorl %edx, %edx
    movl $(512 * 8), %ecx
1:  movl %eax, (%edi)
    movl %edx, 4(%edi)
    addl $0x200000, %eax
    adcl $0, %edx
    addl $8, %edi
    loop 1b

    movl $page_directories + 7, %eax
    movl $pointer_table, %edi
    movl $8, %ecx
1:  movl %eax, (%edi)
    addl $0x1000, %eax
    addl $8, %edi
    loop 1b
    movl $pointer_table + 7, %eax
    movl %eax, top_table

    turn_on_long_mode
    lgdt boot_gdt_pointer
    ljmp $0x08, $start_long

    .code64
start_long:
    load_data_segments
    movl $boot_stack_top, %esp
    movl %ebp, %edi
    xorl %ebp, %ebp
    call start64
1:  hlt
    jmp 1b

    .section .rodata
    .align 8
    .globl boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    // 64-bit code
    .quad 0x00cf93000000ffff    // data
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .long boot_gdt

    .section .bss
    .align 4096
    .globl top_table
top_table:        .skip 4096
pointer_table:    .skip 4096
page_directories: .skip 8 * 4096
    .skip 32768
    .globl boot_stack_top
boot_stack_top:
    .section .note.GNU-stack, "", @progbits

// SPDX-License-Identifier: Apache-2.0
//
// Pieces of the way into 64-bit mode, the same from 16-bit and from 32-bit code. [SDM3 10.8.5]
#pragma once

// With the tables at top_table, and everything that they need. A far jump to a 64-bit segment follows.
.macro turn_on_long_mode
    movl %cr4, %eax
    orl $0x20, %eax             // PAE
    movl %eax, %cr4
    movl $top_table, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx      // EFER
    rdmsr
    orl $0x900, %eax            // LME, NXE
    wrmsr
    movl %cr0, %eax
    orl $0x80010001, %eax       // PG, WP, PE
    movl %eax, %cr0
.endm

// Behind it.
.macro load_data_segments
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
.endm

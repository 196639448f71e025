// SPDX-License-Identifier: Apache-2.0
//
// Where a vCPU starts that another one woke by a start-up message: in real mode, at the beginning of a page
// below 1 MiB that holds a copy of these bytes. In one step to long mode, with the tables of the first vCPU.
// [SDM3 9.4, 10.8.5]

#include "start/long_mode.h"

    .section .text
    .code16
    .globl processor_start, processor_start_end
processor_start:
    cli
    cld
    lgdtl %cs:(pointer - processor_start)
    turn_on_long_mode
    ljmpl $0x08, $processor_long
    .balign 4
pointer:
    .word 23
    .long boot_gdt
processor_start_end:

    .code64
processor_long:
    load_data_segments
    movq processor_stack(%rip), %rsp
    xorl %ebp, %ebp
    call processor_runs
1:  hlt
    jmp 1b
    .section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: Apache-2.0
 *
 *   Outcome enter_firmware(u64 service, const u64 arguments[5], u64 root)
 *
 * From the C++ ABI to UEFI's, and from the hypervisor's page tables to those at `root` and back. A service that
 * faults is left at firmware_has_faulted, with whatever it had in registers: where to go back to is in memory.
 * [UEFI 2.3.4.2]
 */

    .text
    .globl enter_firmware
    .type enter_firmware, @function
enter_firmware:
    .irp register, rbp, rbx, r12, r13, r14, r15
    push %\register
    .endr
    mov %cr3, %rax
    push %rax
    mov %rsp, stack_before(%rip)
    and $-16, %rsp
    sub $48, %rsp                       /* 32 bytes for the service to use, then its fifth argument */
    mov %rdi, %rax
    mov %rsi, %r10
    mov 32(%r10), %r11
    mov %r11, 32(%rsp)
    mov %rdx, %cr3
    mov (%r10), %rcx
    mov 8(%r10), %rdx
    mov 16(%r10), %r8
    mov 24(%r10), %r9
    call __x86_indirect_thunk_rax
    xor %edx, %edx
1:  cli
    cld
    mov stack_before(%rip), %rsp
    pop %rcx
    mov %rcx, %cr3
    .irp register, r15, r14, r13, r12, rbx, rbp
    pop %\register
    .endr
    ret
    int3

    .globl firmware_has_faulted
firmware_has_faulted:
    mov $1, %edx
    jmp 1b
    .size enter_firmware, . - enter_firmware

    .local stack_before
    .comm stack_before, 8, 8

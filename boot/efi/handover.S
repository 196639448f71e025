/* SPDX-License-Identifier: Apache-2.0
 *
 * The code between `handover_code` and `handover_code_end` is copied to the beginning of a page below 4 GiB and entered there in
 * 64-bit mode with RDI = that page, at whose end a struct Handover (handover.hpp) stands and below it a stack. It knows its own
 * place only by RBX. Paging has to end before anything is copied, for the firmware's tables may be in the way. [Multiboot2 3.3]
 */

#define PAGE       4096
#define HANDOVER   (PAGE - 24)
#define FROM       (HANDOVER + 0)
#define TO         (HANDOVER + 4)
#define SIZE       (HANDOVER + 8)
#define ZEROES     (HANDOVER + 12)
#define ENTRY      (HANDOVER + 16)
#define INFORMATION (HANDOVER + 20)

#define MULTIBOOT2_LOADER_MAGIC 0x36d76289
#define MSR_EFER   0xc0000080
#define EFER_LME   (1 << 8)
#define CR0_PG     (1 << 31)
#define CR4_PCIDE  (1 << 17)
#define CR4_CET    (1 << 23)
#define CS32       0x08
#define DS32       0x10

#define HERE(symbol) (symbol - handover_code)

    .section .text.handover, "ax"
    .globl handover_code, handover_code_end
    .balign 16
    .code64
handover_code:
    cli
    cld
    mov %rdi, %rbx
    lea HANDOVER(%rbx), %rsp
    mov %cr4, %rax                      /* both forbid what follows [SDM3 2.5] */
    and $~(CR4_PCIDE | CR4_CET), %eax
    mov %rax, %cr4
    lea HERE(gdt)(%rbx), %rax
    mov %rax, HERE(gdt_base)(%rbx)
    lgdt HERE(gdt_pointer)(%rbx)
    lea HERE(protected_mode)(%rbx), %rax
    push $CS32
    push %rax
    lretq

    .code32
protected_mode:
    mov $DS32, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov %cr0, %eax
    and $~CR0_PG, %eax
    mov %eax, %cr0
    mov $MSR_EFER, %ecx
    rdmsr
    and $~EFER_LME, %eax
    wrmsr
    xor %eax, %eax
    mov %eax, %cr4

    mov FROM(%ebx), %esi
    mov TO(%ebx), %edi
    mov SIZE(%ebx), %ecx
    rep movsb
    mov ZEROES(%ebx), %ecx
    rep stosb

    mov ENTRY(%ebx), %edx
    mov INFORMATION(%ebx), %ebx
    mov $MULTIBOOT2_LOADER_MAGIC, %eax
    jmp *%edx

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9a000000ffff            /* 32-bit code */
    .quad 0x00cf92000000ffff            /* data */
gdt_end:
gdt_pointer:
    .short gdt_end - gdt - 1
gdt_base:
    .quad 0
handover_code_end:

/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the boot loader enters: 32-bit protected mode without paging, EAX = loader's magic, EBX = its
 * information [Multiboot 3.2, Multiboot2 3.3]. This file brings the CPU to 64-bit mode at the image's
 * virtual address and calls start_machine(magic, information). The page tables built here are provisional:
 * the first 4 GiB at 0, at the direct map and (1 GiB of them) at the image's base, with 2 MiB pages.
 */

#define VIRTUAL_BASE 0xffffffff80000000
#define PHYSICAL(symbol) (symbol - VIRTUAL_BASE)

#define MULTIBOOT1_MAGIC 0x1badb002
#define MULTIBOOT1_FLAGS 0x00010003     /* pages aligned, memory map wanted, load addresses in the header */
#define MULTIBOOT2_MAGIC 0xe85250d6

#define PAGE_PRESENT_WRITE 0x003
#define PAGE_LARGE         0x083
#define PAGE_NX_HIGH       0x80000000   /* bit 63, as seen in the upper half of an entry */

#define MSR_EFER    0xc0000080
#define EFER_LME    (1 << 8)
#define EFER_NXE    (1 << 11)
#define CR0_PE_ET_WP_PG 0x80010011      /* and NE off until the FPU is needed */
#define CR4_PAE     (1 << 5)

#define BOOT_CS64 0x08
#define BOOT_DS   0x10
#define COM1      0x3f8
#define VGA_TEXT  0xb8000

    .section .boot.header, "ax"
    .balign 8
multiboot2_header:
    .long MULTIBOOT2_MAGIC, 0, multiboot2_end - multiboot2_header
    .long -(MULTIBOOT2_MAGIC + 0 + (multiboot2_end - multiboot2_header))
    /* Console flags (4), optional: a text screen is understood. */
    .balign 8
    .short 4, 1
    .long 12, 2
    .balign 8
    .short 6, 1                         /* modules on page boundaries */
    .long 8
    .balign 8
    .short 0, 0
    .long 8
multiboot2_end:

    .balign 4
multiboot1_header:
    .long MULTIBOOT1_MAGIC, MULTIBOOT1_FLAGS, -(MULTIBOOT1_MAGIC + MULTIBOOT1_FLAGS)
    .long PHYSICAL(multiboot1_header)
    .long PHYSICAL(image_start)
    .long PHYSICAL(data_loaded_end)
    .long PHYSICAL(bss_end)
    .long PHYSICAL(start)

/* What paging needs for long mode: the provisional tables, and execute-disable for what they forbid. */
.macro ready_for_long_mode
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $PHYSICAL(boot_root), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $(EFER_LME | EFER_NXE), %eax
    wrmsr
.endm

    .section .boot.text, "ax"
    .code32
    .globl start
start:
    cli
    cld
    mov %eax, %esi                      /* loader's magic */
    mov %ebx, %edi                      /* loader's information */
    mov $PHYSICAL(boot_stack_end), %esp

    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    bt $29, %edx
    jnc no_long_mode
    bt $20, %edx
    jnc no_execute_disable

    /* 2048 entries of 2 MiB. The tables are in .bss, which the loader cleared. */
    xor %ecx, %ecx
    mov $PAGE_LARGE, %eax
1:  mov %eax, PHYSICAL(boot_directories)(, %ecx, 8)
    add $0x200000, %eax
    inc %ecx
    cmp $2048, %ecx
    jb 1b

    mov $PHYSICAL(boot_directories) + PAGE_PRESENT_WRITE, %eax
    mov %eax, PHYSICAL(boot_image_pointers) + 510 * 8
    xor %ecx, %ecx
2:  mov %eax, PHYSICAL(boot_direct_pointers)(, %ecx, 8)
    add $0x1000, %eax
    inc %ecx
    cmp $4, %ecx
    jb 2b

    mov $PHYSICAL(boot_direct_pointers) + PAGE_PRESENT_WRITE, %eax
    mov %eax, PHYSICAL(boot_root)
    mov %eax, PHYSICAL(boot_root) + 256 * 8
    movl $PAGE_NX_HIGH, PHYSICAL(boot_root) + 256 * 8 + 4
    movl $PHYSICAL(boot_image_pointers) + PAGE_PRESENT_WRITE, PHYSICAL(boot_root) + 511 * 8

    ready_for_long_mode
    mov $CR0_PE_ET_WP_PG, %eax
    mov %eax, %cr0
    lgdt PHYSICAL(boot_gdt_pointer)
    ljmp $BOOT_CS64, $PHYSICAL(long_mode)

no_long_mode:
    mov $PHYSICAL(no_long_mode_text), %esi
    jmp refuse
no_execute_disable:
    mov $PHYSICAL(no_execute_disable_text), %esi

/* Prints the text at ESI on COM1 and the VGA text screen, and stops. */
refuse:
    mov $VGA_TEXT, %edi
3:  lodsb
    test %al, %al
    jz 5f
    mov %al, %bl
    mov $COM1 + 5, %dx
    mov $0x10000, %ecx                  /* a COM1 that is not there never becomes ready */
4:  in %dx, %al
    test $0x20, %al
    loopz 4b
    mov $COM1, %dx
    mov %bl, %al
    out %al, %dx
    mov $0x0f, %ah
    stosw
    jmp 3b
5:  hlt
    jmp 5b

    .code64
long_mode:
    mov $BOOT_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $boot_stack_end, %rsp
    mov $at_virtual_address, %rax
    jmp *%rax
at_virtual_address:
    xor %ebp, %ebp                      /* end of every backtrace */
    mov %edi, %eax
    mov %esi, %edi
    mov %eax, %esi
    call start_machine
6:  hlt
    jmp 6b

/* Where another CPU starts: in real mode, from a copy of these bytes at the beginning of a page below 1 MiB.
 * The boot CPU had long mode and execute-disable; this one is of the same machine. From real mode to long
 * mode in one step, with the provisional tables, and from there into the image. [APM2 14.6, SDM3 9.8.5] */
    .code16
    .globl trampoline, trampoline_end
trampoline:
    cli
    cld
    ready_for_long_mode
    lgdtl %cs:(trampoline_gdt_pointer - trampoline)
    mov $CR0_PE_ET_WP_PG, %eax
    mov %eax, %cr0
    ljmpl $BOOT_CS64, $PHYSICAL(other_long_mode)
    .balign 4
trampoline_gdt_pointer:
    .short boot_gdt_end - boot_gdt - 1
    .long PHYSICAL(boot_gdt)
trampoline_end:

    .code64
other_long_mode:
    mov $BOOT_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $other_at_virtual_address, %rax
    jmp *%rax
other_at_virtual_address:
    mov other_cpu_root(%rip), %rax
    mov %rax, %cr3                      /* its stack is only in the final tables */
    mov other_cpu_stack(%rip), %rsp
    xor %ebp, %ebp
    call start_this_cpu
7:  hlt
    jmp 7b

    .section .rodata.boot, "a"
no_long_mode_text:
    .asciz "Plinth: this CPU has no 64-bit mode; a 64-bit x86 CPU with AMD-V is needed. Stopped.\r\n"
no_execute_disable_text:
    .asciz "Plinth: execute-disable (NX) is not offered; enable it in the firmware setup. Stopped.\r\n"

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9a000000ffff            /* 64-bit code */
    .quad 0x00cf92000000ffff            /* data */
boot_gdt_end:
    .balign 4
boot_gdt_pointer:
    .short boot_gdt_end - boot_gdt - 1
    .long PHYSICAL(boot_gdt)

    .section .bss.boot, "aw", @nobits
    .balign 4096
boot_root:            .skip 4096
boot_direct_pointers: .skip 4096
boot_image_pointers:  .skip 4096
boot_directories:     .skip 4 * 4096

    /* The page below the stack is unmapped once the final page tables are in place. */
    .section .stacks, "aw", @nobits
    .balign 4096
    .globl boot_stack_guard, boot_stack, boot_stack_end
boot_stack_guard:     .skip 4096
boot_stack:           .skip 8 * 4096
boot_stack_end:

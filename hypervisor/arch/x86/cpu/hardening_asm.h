/* SPDX-License-Identifier: Apache-2.0
 *
 * What the world switches and the thunks do against leaks by speculation. Each piece is jumped over until the boot
 * has found that it is needed; then its jump becomes a NOP (hardening.cpp). So there is no branch that a guest could
 * have trained to go the wrong way, and a CPU that needs nothing pays a jump.
 */
#pragma once

/* Who needs a piece; hardening.cpp says when. */
#define PIECE_RETPOLINE 0
#define PIECE_SPEC_CTRL 1
#define PIECE_EXIT      2 /* any of AFTER_EXIT */
#define PIECE_IBPB_EXIT 3
#define PIECE_RSB       4
#define PIECE_VERW      5
#define PIECE_L1D_FLUSH 6
#define PIECE_DIV       7

#ifdef __ASSEMBLER__

    .set SPEC_CTRL, 0x48
    .set PRED_CMD, 0x49
    .set FLUSH_CMD, 0x10b
    /* Guest_registers::speculation */
    .set REG_SPEC_CTRL, 18 * 8
    .set REG_SPEC_CTRL_OWN, 18 * 8 + 4
    .set REG_DISTRUSTED, 18 * 8 + 5

/* An instruction that becomes a NOP where the piece is needed. */
.macro UNLESS_NEEDED piece, instruction:vararg
    .pushsection .hardening, "a"
    .quad 901f
    .byte \piece, 902f - 901f
    .balign 8
    .popsection
901:\instruction
902:
.endm

/* Before an entry, the guest's registers not loaded yet; RDI: Guest_registers. Changes RAX, RCX, RDX and flags. */
.macro BEFORE_ENTRY
    UNLESS_NEEDED PIECE_DIV, jmp 910f
    mov $1, %eax
    xor %edx, %edx
    div %eax
910:
    UNLESS_NEEDED PIECE_SPEC_CTRL, jmp 911f
    mov REG_SPEC_CTRL(%rdi), %eax
    cmp host_spec_ctrl(%rip), %eax
    je 911f
    mov $SPEC_CTRL, %ecx
    xor %edx, %edx
    wrmsr
911:
.endm

/* The last thing before an entry, all registers being the guest's but for the flags; CF stays. */
.macro CLEAR_BUFFERS
    UNLESS_NEEDED PIECE_VERW, jmp 912f
    verw verw_selector(%rip)
912:
.endm

.macro FLUSH_L1D
    UNLESS_NEEDED PIECE_L1D_FLUSH, jmp 913f
    mov $FLUSH_CMD, %ecx
    mov $1, %eax
    xor %edx, %edx
    wrmsr
913:
.endm

/* After an exit, all that was the guest's in registers saved. Changes RAX, RCX, RDX, RDI and flags. No RET and no
 * indirect branch may come before it. */
.macro AFTER_EXIT registers
    UNLESS_NEEDED PIECE_EXIT, jmp 929f
    mov \registers, %rdi
    UNLESS_NEEDED PIECE_IBPB_EXIT, jmp 922f
    testb $1, REG_DISTRUSTED(%rdi)
    jz 921f
    mov $PRED_CMD, %ecx
    mov $1, %eax
    xor %edx, %edx
    wrmsr
921:lfence
922:
    UNLESS_NEEDED PIECE_RSB, jmp 926f
    .rept 32                /* as many as the deepest predictor has entries */
    call 924f
    int3
924:
    .endr
    add $32 * 8, %rsp
    lfence
926:
    UNLESS_NEEDED PIECE_SPEC_CTRL, jmp 929f
    mov $SPEC_CTRL, %ecx
    testb $1, REG_SPEC_CTRL_OWN(%rdi)
    jz 927f
    rdmsr
    mov %eax, REG_SPEC_CTRL(%rdi)
927:mov host_spec_ctrl(%rip), %eax
    mov REG_SPEC_CTRL(%rdi), %edx
    xor %eax, %edx
    or renew_spec_ctrl(%rip), %edx
    jz 928f
    xor %edx, %edx
    wrmsr
928:lfence
929:
.endm

#endif

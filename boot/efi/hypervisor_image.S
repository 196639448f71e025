/* SPDX-License-Identifier: Apache-2.0
 * The hypervisor, as a file in the application. */
    .section .rodata.hypervisor, "a"
    .globl hypervisor_image, hypervisor_image_end
    .balign 16
hypervisor_image:
    .incbin PLINTH_IMAGE
hypervisor_image_end:
    .section .note.GNU-stack, "", @progbits

# SPDX-License-Identifier: Apache-2.0
"""A medium from which GRUB boots the hypervisor and one micro-guest, for an emulator that interprets every instruction
of GRUB's too: nothing is on it but what GRUB needs for this (no menu, no debugging information, which GRUB would load),
and its modules are files, because what is packed into its core takes twenty times longer to unpack than to read."""

import os
import shutil
import subprocess

GRUB = "/usr/lib/grub/i386-pc"
COMMANDS = ["multiboot2", "boot"]


def modules(names):
    """The modules of those names and all that they need."""
    with open(os.path.join(GRUB, "moddep.lst"), encoding="ascii") as file:
        needs = {name: needed.split() for name, needed in (line.split(":") for line in file)}
    found = set()
    while names:
        found.update(names)
        names = {needed for name in names for needed in needs.get(name, ())} - found
    return found


def made(folder, hypervisor, guest, append):
    """The image's file name, in `folder`; `append` is the hypervisor's command line."""
    tree = os.path.join(folder, "tree")
    grub = os.path.join(tree, "boot/grub/i386-pc")
    os.makedirs(grub)
    for name in [module + ".mod" for module in modules(COMMANDS)] + ["moddep.lst"]:
        shutil.copy(os.path.join(GRUB, name), grub)
    subprocess.run(["strip", "-o", os.path.join(tree, "plinth"), hypervisor], check=True)
    subprocess.run(["strip", "-o", os.path.join(tree, "guest"), guest], check=True)
    begins = os.path.join(folder, "grub.cfg")
    with open(begins, "w", encoding="ascii") as file:
        file.write("".join(f"insmod {name}\n" for name in COMMANDS))
        file.write(f"multiboot2 /plinth {append}\nmodule2 /guest\nboot\n")
    subprocess.run(["grub-mkimage", "-O", "i386-pc-eltorito", "-p", "(cd)/boot/grub", "-c", begins, "-o",
                    os.path.join(tree, "core.img"), "biosdisk", "iso9660"], check=True)
    image = os.path.join(folder, "guest.iso")
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-o", image, "-b", "core.img", "-no-emul-boot", "-boot-load-size",
                    "4", "-boot-info-table", tree], check=True, stderr=subprocess.DEVNULL)
    return image

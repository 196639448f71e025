#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same image on a UEFI machine: GRUB there hands over another memory map, the ACPI root by copy, and pixels
instead of a text screen. dom0 comes up, the screen is its own, it knows the machine's name, and it has the firmware's
variables: what it writes is there after a reset, what it removes is not, and the firmware follows its boot order."""

import os
import shutil
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import UEFI_CODE, UEFI_VARIABLES, Failed, bare_shell_of_dom0, log_file, options, play, shell_of_dom0, start
from efi_variables import variable, write_variable

BOOT_ORDER = variable("BootOrder", "8be4df61-93ca-11d2-aa0d-00e098032b8c")

chosen = options(__doc__)
variables = log_file(chosen, "uefi") + ".variables"


def screen(machine):
    name = machine.shell("cat /sys/class/graphics/fb0/name")[1].strip()
    if "EFI" not in name:
        raise Failed(f"dom0's screen is {name!r}, not the framebuffer that the firmware set up")


def log(machine):
    text = machine.shell("xm dmesg")[1]
    for words in ("booted by GRUB 2", "UEFI 2.", "its runtime services are there for dom0", "dom0"):
        if words not in text:
            raise Failed(f"`xm dmesg` does not show {words!r}:\n{text}")


def tables(machine):
    """What firmware tells of the machine stands in tables that only UEFI knows the place of."""
    machine.shell("grep -q QEMU /sys/class/dmi/id/sys_vendor; test -s /sys/firmware/dmi/tables/DMI")


def writes(machine):
    """Also one that is larger than a page, and the boot order: its last entry becomes the first."""
    write_variable(machine, "Kept", "hello")
    write_variable(machine, "Removed", "x")
    machine.shell(f"chattr -i {variable('Removed')}; rm {variable('Removed')}; "
                  f"(printf '\\007\\000\\000\\000'; yes | head -c 6000) > /tmp/large; cat /tmp/large > {variable('Large')}; "
                  f"chattr -i {BOOT_ORDER}; (printf '\\007\\000\\000\\000'; tail -c +5 {BOOT_ORDER} | tail -c 2; "
                  f"tail -c +5 {BOOT_ORDER} | head -c -2) > /tmp/order; cat /tmp/order > {BOOT_ORDER}; cmp /tmp/order {BOOT_ORDER}")
    before.append(machine.shell(f"hexdump -C {BOOT_ORDER}")[1])


def resets(machine):
    """The last entry was the firmware's shell."""
    machine.line("reboot")
    machine.expect('starting Boot[0-9]+ "EFI Internal Shell"', 120, "the firmware's shell, first in the boot order")
    machine.expect("Press ESC", 60, "the firmware's shell")
    machine.line("")
    machine.expect("Shell> ", 60, "the firmware's shell")
    machine.send("FS0:\\EFI\\BOOT\\BOOTX64.EFI\r")
    machine.expect("booted by GRUB 2", 120, "the hypervisor, once more")
    bare_shell_of_dom0(machine)


def still_there(machine):
    machine.shell(f"test \"$(tail -c +5 {variable('Kept')})\" = hello; ! test -e {variable('Removed')}; "
                  f"test $(stat -c %s {variable('Large')}) = 6004; tail -c +5 {variable('Large')} | md5sum > /tmp/read; "
                  "yes | head -c 6000 | md5sum | cmp - /tmp/read")
    if machine.shell(f"hexdump -C {BOOT_ORDER}")[1] != before[0]:
        raise Failed("the boot order is another")


before = []
shutil.copyfile(UEFI_VARIABLES, variables)
flash = [word for number, file, also in ((0, UEFI_CODE, ",readonly=on"), (1, variables, ""))
         for word in ("-drive", f"if=pflash,format=raw,unit={number},file={file}{also}")]
with start(chosen, "uefi", image="", extra=["-vga", "std", *flash]) as booted:
    seen = play(booted, [("boot to dom0's shell", shell_of_dom0), ("dom0 has the screen", screen),
                         ("the boot is in the log", log), ("the machine has a name", tables),
                         ("variables are written and removed", writes), ("a reset", resets),
                         ("and they are as before", still_there)])
os.remove(variables)
sys.exit(0 if seen else 1)

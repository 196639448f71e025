#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same image on a UEFI machine: GRUB there hands over another memory map, the ACPI root by copy, and pixels
instead of a text screen. dom0 comes up, and the screen is its own."""

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import UEFI, Failed, scenario


def screen(machine):
    name = machine.shell("cat /sys/class/graphics/fb0/name")[1].strip()
    if "EFI" not in name:
        raise Failed(f"dom0's screen is {name!r}, not the framebuffer that the firmware set up")


def log(machine):
    text = machine.shell("xm dmesg")[1]
    for words in ("booted by GRUB 2", "dom0"):
        if words not in text:
            raise Failed(f"`xm dmesg` does not show {words!r}:\n{text}")


scenario("uefi", __doc__, [("dom0 has the screen", screen), ("the boot is in the log", log)],
         image="", extra=("-no-reboot", "-bios", UEFI, "-vga", "std"))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest that begins with Debian's GRUB for PVH guests, which runs in 32-bit mode, reads the guest's disk itself and starts the
kernel that is on it: so a guest upgrades its kernel without dom0. It reboots the same way, and is saved and restored."""

import os
import subprocess
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import (Failed, config, domains, guest_shell, log_file, options, play, shell_of_dom0, start, wait_for)

NAME = "own-kernel"
GRUB = "/root/grub-i386-xen_pvh.bin"
chosen = options(__doc__)
disk = log_file(chosen, "grub") + ".img"
seen = {}


def make_disk():
    os.makedirs(os.path.dirname(disk), exist_ok=True)
    with open(disk, "wb") as image:
        image.truncate(96 << 20)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", os.path.join(chosen.build, "boot", "grub"), disk], check=True)


def grub_in_dom0(machine):
    machine.shell("modprobe ext4; mkdir -p /mnt; mount -t ext4 -o ro /dev/vda /mnt; "
                  f"cp /mnt/grub-i386-xen_pvh.bin {GRUB}; umount /mnt")


def is_started_by_grub(machine):
    with guest_shell(machine, NAME) as guest:
        said = guest.shell("cat /proc/cmdline")[1].strip()
        if said != "BOOT_IMAGE=/boot/vmlinuz console=hvc0 quiet":
            raise Failed(f"its kernel was started with {said!r}")
        if "Xen PVH" not in guest.shell("dmesg | grep 'Booting paravirtualized kernel'")[1]:
            raise Failed("its kernel does not take this for a PVH guest")
        guest.shell("test -b /dev/xvda && test $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource) != jiffies")
    return said


def create(machine):
    file = config(machine, NAME, memory=256, kernel=GRUB, ramdisk=None, extra=None)
    machine.shell(f"echo \"disk = [ 'format=raw, vdev=xvda, target=/dev/vda' ]\" >> {file}; xm create {file}", 60)
    seen["first"] = domains(machine)[NAME]["domid"]
    return is_started_by_grub(machine)


def reboot(machine):
    with guest_shell(machine, NAME) as guest:
        guest.line("reboot -f")
        machine.listen(1)
    wait_for(machine, "the guest again", 60, lambda m: domains(m).get(NAME, {}).get("domid", seen["first"]) != seen["first"])
    return is_started_by_grub(machine)


def save(machine):
    machine.shell(f"xm save {NAME} /tmp/image && xm restore /tmp/image", 200)
    return is_started_by_grub(machine)


def complaints(machine):
    said = machine.shell("xm dmesg | grep -i '32-bit'", check=False)[1]
    if said.strip():
        raise Failed(f"the hypervisor has something to say:\n{said}")


make_disk()
with start(chosen, "grub", extra=["-no-reboot", "-drive", f"file={disk},format=raw,if=virtio"]) as booted:
    passed = play(booted, [("boot to dom0's shell", shell_of_dom0), ("GRUB for guests, from the disk", grub_in_dom0),
                           ("xm create: GRUB starts the kernel on the disk", create), ("it reboots", reboot),
                           ("it is saved and restored", save), ("nothing it asked is missing", complaints)])
os.remove(disk)
sys.exit(0 if passed else 1)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""plinth.efi in the firmware's shell, from a FAT file system with a configuration, a kernel and an initramfs on it: what it
cannot boot it says and gives back to the shell, with all memory; then it boots dom0, by the section that is asked for. The
firmware has a mistake in its runtime services, which costs no more than those."""

import os
import re
import shutil
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import UEFI, Failed, guest_shell, log_file, options, play, shell_of_dom0, start
from efi_variables import variable, write_variable

chosen = options(__doc__)
folder = log_file(chosen, "uefi_application") + ".esp"

CONFIG = """# What is broken here is passed over.
[global]
default = nothing
optoins = noreboot

[nothing]
kernel = \\EFI\\debian\\none

[rescue]
options = console=com1 com1=115200,8n1 loglvl=info dom0_mem=768M
kernel = vmlinuz   console=hvc0 loglevel=3
ramdisk = /dom0.cpio
"""

# As one who tries it types.
SHELL = """fs0:
cd EFI\\plinth
load faulty.efi
plinth.efi -cfg=absent.cfg
plinth.efi nosuch
plinth.efi
echo "the shell goes on"
plinth.efi -cfg=others.cfg rescue
"""


def put(source, name):
    target = os.path.join(folder, name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)


def write(name, text):
    with open(os.path.join(folder, name), "w", encoding="ascii", newline="\r\n") as file:
        file.write(text)


def system_partition():
    shutil.rmtree(folder, ignore_errors=True)
    put(os.path.join(chosen.build, "boot", "efi", "plinth.efi"), "EFI/plinth/plinth.efi")
    put(os.path.join(chosen.build, "tests", "system", "faulty_driver.efi"), "EFI/plinth/faulty.efi")
    put(os.path.join(chosen.build, "boot", "vmlinuz"), "EFI/plinth/vmlinuz")
    put(os.path.join(chosen.build, "boot", "dom0.cpio"), "dom0.cpio")
    write("EFI/plinth/plinth.cfg", CONFIG)
    write("EFI/plinth/others.cfg", CONFIG)
    write("startup.nsh", SHELL)


def refusals(machine):
    for reason in (r"absent\.cfg cannot be opened \(Not Found\)", r"it has no section \[nosuch\]; the first is \[nothing\]",
                   r"none cannot be opened \(Not Found\)"):
        machine.expect(reason, 120, reason)
        machine.expect("Press a key", 10, "time to read it")
        machine.line("")
    machine.expect("the shell goes on", 30, "the firmware's shell")


def boots(machine):
    machine.expect(r'others\.cfg:4: no key "optoins"; did you mean "options"\?', 60, "the mistake in the configuration")
    machine.expect(r"booted by plinth\.efi", 120, "the hypervisor")
    shell_of_dom0(machine)


def as_asked(machine):
    if machine.shell("cat /proc/cmdline")[1].strip() != "console=hvc0 loglevel=3":
        raise Failed("dom0's kernel has another command line")
    log = machine.shell("xm dmesg")[1]
    if "command line: console=com1 com1=115200,8n1 loglvl=info dom0_mem=768M\n" not in log.replace("\r", ""):
        raise Failed(f"the hypervisor has another command line:\n{log}")
    name = machine.shell("cat /sys/class/graphics/fb0/name")[1].strip()
    if "EFI" not in name:
        raise Failed(f"dom0's screen is {name!r}, not the framebuffer that the firmware set up")
    if not re.search(r"^demo +[0-9]", machine.shell("xm create /etc/vmm/demo.cfg && xm list")[1], re.MULTILINE):
        raise Failed("no guest")


def faults(machine):
    """Only for a variable of that name; from then on there are no variables, and all else goes on."""
    write_variable(machine, "Sound", "x")
    if write_variable(machine, "Fault", "x", check=False) == 0:
        raise Failed("the firmware has no mistake")
    if "the firmware's runtime services have faulted at" not in machine.shell("xm dmesg")[1]:
        raise Failed("the hypervisor's log does not say what happened")
    if machine.shell(f"cat {variable('Sound')}", check=False)[0] == 0 or write_variable(machine, "Sound", "y", check=False) == 0:
        raise Failed("the firmware's runtime services are called again")
    with guest_shell(machine, "demo") as guest:
        guest.shell("true")
    machine.shell("xm destroy demo", 60)


system_partition()
boot = ["-bios", UEFI, "-drive", f"if=virtio,readonly=on,format=raw,file=fat:{folder}"]
with start(chosen, "uefi_application", boot=boot, extra=["-no-reboot", "-vga", "std"]) as booted:
    seen = play(booted, [("what cannot be booted is said", refusals), ("boot to dom0's shell", boots),
                         ("it is as the section says", as_asked),
                         ("the firmware's services fault: all else goes on", faults)])
shutil.rmtree(folder)
sys.exit(0 if seen else 1)

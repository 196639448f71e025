#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What cannot work is refused at once, in words: a CPU without virtualisation, too little memory, no dom0 kernel, a
kernel without a PVH entry, a damaged one. Each case boots the image directly (multiboot 1) and must show one line
on serial that names the trouble; the machine must stay as it is, so that the words can be read."""

import os
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import SHOWN, Failed, Machine, log_file, options, qemu, steps
import kernels

chosen = options(__doc__)
folder = os.path.dirname(log_file(chosen, "refusals"))
initramfs = os.path.join(chosen.build, "boot", "domu.cpio.gz")
hypervisor = os.path.join(chosen.build, "hypervisor", "plinth")
good = os.path.join(chosen.build, "boot", "vmlinuz")


def made(name, change):
    """A file with the good kernel, changed."""
    file = os.path.join(folder, f"refusals.{name}")
    with open(good, "rb") as source, open(file, "wb") as target:
        target.write(change(source.read()))
    return file


# name, what is different about the machine, the modules, what must be said.
CASES = [
    ("a CPU without AMD-V", {"cpu": "EPYC,-svm"}, [good, initramfs], r"(no|not|neither|without).*(AMD-V|SVM)"),
    ("a CPU without nested paging", {"cpu": "EPYC,+svm,-npt"}, [good, initramfs], r"nested pag"),
    ("32 MiB of memory", {"memory": 32}, [good, initramfs], r"[0-9]+ MiB of RAM; at least [0-9]+ MiB"),
    ("no dom0 kernel", {}, [], r"no dom0 kernel|no kernel for dom0"),
    ("a kernel with one wrong bit", {}, [made("bit", kernels.with_corrupt_payload), initramfs],
     r"(corrupt|damaged|checksum|unpack|decompress)"),
    ("a kernel cut short", {}, [made("cut", kernels.cut_short), initramfs],
     r"(corrupt|damaged|truncated|cut|short|beyond|outside|past)"),
    ("a kernel without a PVH entry", {}, [made("nopvh", kernels.without_pvh_entry), initramfs], r"PVH.*entry"),
    ("a kernel that is none", {}, [initramfs], r"(bzImage|ELF|not a kernel)"),
]


def refused(number, name, machine_keys, modules, words):
    command_line = "console=com1 loglvl=info noreboot"
    boot = ["-kernel", hypervisor, "-append", command_line]
    if modules:  # the first is the kernel, which would be heard
        boot += ["-initrd", ",".join([f"{modules[0]} console=hvc0", *modules[1:]])]
    command = qemu.command(boot, extra=["-no-reboot"], **machine_keys)
    with Machine(command, log_file(chosen, f"refusals.{number}"), SHOWN) as machine:
        line = machine.expect(rf"(?i:^.*(?:{words}).*$)", 60, name)
        stays = machine.listen(2)
        machine.never(r"Linux version")
        if not stays or not machine.running():
            raise Failed("the machine did not stay on with its message")
        return line.group(0).strip()


failed = 0
for number, (name, machine_keys, modules, words) in enumerate(CASES, 1):
    try:
        steps.show(f"\n== case {number}/{len(CASES)}: {name}: ok ({refused(number, name, machine_keys, modules, words)})\n")
    except Failed as trouble:
        failed += 1
        steps.show(f"\n== case {number}/{len(CASES)}: {name}: FAILED\n{trouble}\n")
sys.exit(1 if failed else 0)

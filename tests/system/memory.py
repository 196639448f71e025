#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Machines whose RAM and holes lie elsewhere than usual: with RAM above 4 GiB, much of it not dom0's, and with a
dom0 that has all there is of it. dom0 finds room for what it maps of others, and a guest starts and answers."""

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/lib")
from dom0 import SHOWN, Machine, config, guest_shell, loaded, log_file, options, play, qemu, shell_of_dom0

chosen = options(__doc__)

# MiB of the machine, dom0_mem=; the guest's MiB.
CASES = [(3072, "1024M", 96), (6144, "1536M", 3000), (5120, "4G", 200)]


def no_complaint(machine):
    machine.shell("! dmesg | grep -E 'add_to_physmap failed|xen_alloc_unpopulated|Failed to map'")


def guest(memory):
    def step(machine):
        machine.shell(f"xm create {config(machine, 'roomy', memory=memory)}", 60)
        with guest_shell(machine, "roomy"):
            machine.shell("uname -r")
        machine.shell("xm shutdown -w roomy", 90)
        no_complaint(machine)
    return step


failed = False
for memory, dom0, guest_memory in CASES:
    command = qemu.command(loaded(chosen, dom0), memory=memory, extra=["-no-reboot"])
    with Machine(command, log_file(chosen, f"memory.{memory}"), SHOWN) as booted:
        failed |= not play(booted, [
            (f"{memory} MiB, dom0 has {dom0}: boot to dom0's shell", shell_of_dom0),
            ("dom0 maps its grant table", no_complaint),
            (f"a guest of {guest_memory} MiB", guest(guest_memory)),
        ])
sys.exit(1 if failed else 0)
